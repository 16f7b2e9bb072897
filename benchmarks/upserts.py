"""Row 4: a large loans file of which 1 % changed, beside an upsert written by hand.

A million different days do not fit between the oldest day the contract takes and today. So there
are two lines: every day there is, once; and a million rows, in which each day stands several times
and its last row counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from app.domain import Facts
from app.pipelines import loans
from benchmarks.files import corrected_loans, loans_frame, several_states, write_loans
from benchmarks.results import Measured, Timer, faster
from benchmarks.stand import Stand, stand

ROWS = 1_000_000
TARGET = 1.5
FORGET_LOANS = (
    "TRUNCATE warehouse.loans",
    "DELETE FROM ops.load",
    "DELETE FROM ops.touched_day",
)
PEER_TABLES = (
    "DROP TABLE IF EXISTS public.loans_peer, public.loans_staged",
    """
    CREATE TABLE public.loans_peer (
        repayment_date date PRIMARY KEY,
        loans bigint NOT NULL,
        defaults bigint NOT NULL,
        liquidations bigint NOT NULL
    )
    """,
    """
    CREATE UNLOGGED TABLE public.loans_staged (
        repayment_date date,
        loans bigint,
        defaults bigint,
        liquidations bigint,
        line bigint GENERATED ALWAYS AS IDENTITY
    )
    """,
)
COLUMNS = "repayment_date, loans, defaults, liquidations"
UPSERT = (
    "INSERT INTO loans_peer SELECT {rows} ON CONFLICT (repayment_date) DO UPDATE SET"
    " loans = excluded.loans, defaults = excluded.defaults, liquidations = excluded.liquidations"
)
EACH_ROW = f"{COLUMNS} FROM loans_staged"
LAST_ROWS = (
    f"DISTINCT ON (repayment_date) {COLUMNS} FROM loans_staged ORDER BY repayment_date, line DESC"
)


@dataclass(frozen=True, slots=True)
class Case:
    """One line: what is measured, the file's first state, and the rows that the peer upserts."""

    number: str
    work: str
    first: pl.DataFrame
    rows: str


def measure(timer: Timer, quick: bool) -> Iterator[Measured]:
    """Measures the correction through the running service, and psql's copy and upsert of it."""
    with stand() as ready:
        for case in cases(ROWS // 10 if quick else ROWS, date.today()):  # noqa: DTZ011
            yield compare(ready, timer, case)


def cases(rows: int, last: date) -> list[Case]:
    """Gives both lines' files, the days of the first one limited to those the contract takes."""
    days = min(rows, days_there_are(last))
    every_day = f"loans of {days:,} days, all the contract takes, 1 % changed"
    every_row = f"loans of {rows:,} rows for {days:,} days, the last of a day counts, 1 % changed"
    return [
        Case("4 days", every_day, loans_frame(days, last), EACH_ROW),
        Case("4 rows", every_row, several_states(days, last, rows), LAST_ROWS),
    ]


def days_there_are(last: date) -> int:
    """Counts the days a loans file may have, from the contract's oldest one to the last."""
    rules = loans.contract(Facts(scope=None, as_of=last, today=last))
    oldest: date = rules.columns()["repayment_date"].min  # type: ignore[attr-defined]
    return (last - oldest).days + 1


def compare(stand: Stand, timer: Timer, case: Case) -> Measured:
    """Brings both tables into the first state and then measures the correction on each."""
    second = corrected_loans(case.first)
    first_file = write_loans(case.first, stand.folder / "loans.csv")
    second_file = write_loans(second, stand.folder / "loans_corrected.csv")
    expected = counts(case.first, second)
    ours, peer = [], []
    for _ in timer.repetitions(f"row {case.number}, run"):
        stand.execute(*PEER_TABLES)
        stand.psql(*by_hand(first_file, case.rows))
        stand.execute("TRUNCATE public.loans_staged", "CHECKPOINT")
        peer.append(stand.psql(*by_hand(second_file, case.rows)))
        stand.execute(*FORGET_LOANS)
        stand.drop(first_file)
        stand.execute("CHECKPOINT")
        ours.append(stand.drop(second_file))
        require_equal(stand, expected)
    commands = by_hand(Path(second_file.name), case.rows)
    command = " ".join(["psql", *(f'-c "{each}"' for each in commands)])
    return faster(case.number, case.work, ours, command, peer, TARGET)


def by_hand(path: Path, rows: str) -> tuple[str, str]:
    """Gives the commands of the upsert written by hand."""
    copy = f"\\copy loans_staged ({COLUMNS}) from '{path}' with (format csv, header)"
    return copy, UPSERT.format(rows=rows)


def counts(first: pl.DataFrame, second: pl.DataFrame) -> list[int]:
    """Counts the rows updated, unchanged and repeated in the file, from the two states alone."""
    before, after = (
        state.unique("repayment_date", keep="last").sort("repayment_date")
        for state in (first, second)
    )
    updated = sum(a != b for a, b in zip(before.iter_rows(), after.iter_rows(), strict=True))
    return [updated, len(after) - updated, len(second) - len(after)]


def require_equal(stand: Stand, expected: list[int]) -> None:
    """Raises RuntimeError unless the ledger counts rightly and both tables hold the same."""
    counted = stand.value(
        "SELECT ARRAY[rows_updated, rows_unchanged, rows_duplicate]"
        " FROM ops.load ORDER BY load_id DESC LIMIT 1"
    )
    differing = stand.value(
        f"SELECT count(*) FROM (SELECT {COLUMNS} FROM warehouse.loans) AS ours"
        f" FULL JOIN loans_peer AS peer USING ({COLUMNS})"
        " WHERE peer.loans IS NULL OR ours IS NULL"
    )
    if counted != expected or differing:
        raise RuntimeError(f"counted {counted}, not {expected}; {differing} rows differ")
