"""Rows 13 and 14: applications loaded with their ma50, a version computed for all of them.

Beside psql's copy and one window query each, which give the same numbers; and the most memory that
each takes for ten times the rows.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from benchmarks.applications import write_applications
from benchmarks.memory import MOST_TIMES, peak_bytes, with_children
from benchmarks.results import Measured, Timer
from benchmarks.stand import PROJECT, Stand, environment_of, server, service

ROWS = 2_000_000
PEER_TABLES = (
    "DROP TABLE IF EXISTS public.scores_peer, public.features_peer",
    """
    CREATE TABLE public.scores_peer (
        amount_requested numeric NOT NULL,
        application_date date NOT NULL,
        loan_title text,
        risk_score numeric,
        debt_to_income text,
        zip_code text,
        state text,
        employment_length text,
        policy_code numeric,
        line bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY
    )
    """,
    """
    CREATE TABLE public.features_peer (line bigint PRIMARY KEY, ma50 numeric, ma100 numeric)
    """,
    "CHECKPOINT",
)
FORGET_PEER = ("DROP TABLE public.scores_peer, public.features_peer", "CHECKPOINT")
FORGET_APPLICATIONS = (
    "TRUNCATE warehouse.risk_score, warehouse.risk_score_feature",
    "DELETE FROM ops.load",
    "DELETE FROM ops.reject",
    "CHECKPOINT",
)
FORGET_BACKFILL = ("TRUNCATE warehouse.risk_score_feature_v1", "CHECKPOINT")
COLUMNS = (
    "(amount_requested, application_date, loan_title, risk_score, debt_to_income, zip_code, state,"
    " employment_length, policy_code)"
)
MEAN = "round(avg(risk_score) OVER (ORDER BY rank RANGE {} PRECEDING), 6)"
WINDOWS = (
    "INSERT INTO features_peer SELECT line, {} FROM (SELECT line, risk_score,"
    " count(risk_score) OVER (ORDER BY application_date, line) AS rank FROM scores_peer) AS counted"
)
MA50 = WINDOWS.format(f"{MEAN.format(49)}, NULL")
MA50_AND_MA100 = WINDOWS.format(f"{MEAN.format(49)}, {MEAN.format(99)}")
SHOWN = "md5(string_agg(concat(ma50, ' ', ma100), ',' ORDER BY {}))"
OURS = f"SELECT {SHOWN.format('application_id')} FROM warehouse.risk_score_feature_v{{}}"
PEERS = (
    f"SELECT {SHOWN.format('application_date, line')}"
    " FROM public.features_peer JOIN public.scores_peer USING (line)"
)


def measure(timer: Timer, quick: bool) -> Iterator[Measured]:
    """Measures both through the running service and the command, then their memory."""
    rows = ROWS // 10 if quick else ROWS
    with server() as stand:
        large = make_file(stand, rows)
        with service(stand.folder, stand.url, ON_SUCCESS="delete"):
            yield compare_loads(stand, timer.slow, large, rows)
            yield compare_backfills(stand, timer.slow, large, rows)
        small = make_file(stand, rows // 10)
        yield from compare_memory(stand, small, large, rows)


def make_file(stand: Stand, rows: int) -> Path:
    path = stand.folder / f"rejected_{rows}.csv"
    write_applications(path, rows)
    return path


def copy_into_peer(path: Path) -> str:
    return f"\\copy public.scores_peer {COLUMNS} from '{path}' with (format csv, header)"


def compare_loads(stand: Stand, timer: Timer, path: Path, rows: int) -> Measured:
    """Loads the file into empty tables, by psql and by us, again and again."""
    ours, peer = [], []
    for _ in timer.repetitions("row 13, run"):
        stand.execute(*PEER_TABLES)
        peer.append(stand.psql(copy_into_peer(path), MA50))
        stand.execute(*FORGET_APPLICATIONS)
        ours.append(stand.drop(path))
        require_equal(stand, version=0)
    stand.execute(*FORGET_PEER)
    command = f'psql -c "{copy_into_peer(Path(path.name))}" -c "{MA50}"'
    return per_second("13", f"{rows:,} applications loaded with ma50", rows, ours, peer, command)


def compare_backfills(stand: Stand, timer: Timer, path: Path, rows: int) -> Measured:
    """Computes version 1 for rows that are there, by one query and by us, again and again."""
    stand.execute(*PEER_TABLES)
    stand.psql(copy_into_peer(path))
    ours, peer = [], []
    for _ in timer.repetitions("row 14, run"):
        stand.execute("TRUNCATE public.features_peer", "CHECKPOINT")
        peer.append(stand.psql(MA50_AND_MA100))
        stand.execute(*FORGET_BACKFILL)
        ours.append(stand.app("features", "backfill", "1")[0])
        require_equal(stand, version=1)
    stand.execute(*FORGET_PEER)
    work = f"`features backfill 1` of {rows:,} applications: ma50 and ma100"
    return per_second("14", work, rows, ours, peer, f'psql -c "{MA50_AND_MA100}"')


def require_equal(stand: Stand, version: int) -> None:
    """Raises RuntimeError unless both sides show the same digits in the same order."""
    if stand.value(OURS.format(version)) != stand.value(PEERS):
        raise RuntimeError(f"the values of version {version} are not those of the window query")


def per_second(
    number: str,
    work: str,
    rows: int,
    ours: Sequence[float],
    peer: Sequence[float],
    command: str,
) -> Measured:
    """Compares rows a second: the figure is how many times as fast as the peer we are."""
    return Measured(
        number,
        work,
        f"{rows / median(ours):,.0f} rows/s",
        f"{rows / median(peer):,.0f} rows/s",
        f"{median(peer) / median(ours):.2f} x",
        f"{min(theirs / own for own, theirs in zip(ours, peer, strict=True)):.2f} x",
        "",
        is_met=True,
        command=command,
    )


def compare_memory(stand: Stand, small: Path, large: Path, rows: int) -> Iterator[Measured]:
    """Measures the most memory of a load and of a backfill, for both files."""
    loads, backfills = [], []
    for path in (small, large):
        stand.execute(*FORGET_APPLICATIONS)
        loads.append(peak_of_load(stand, path))
        backfills.append(peak_of_backfill(stand))
    command = f"Sluice: {rows // 10:,} rows"
    of_load = f"peak memory of the service (VmHWM) with {rows:,} applications"
    yield growth("13 memory", of_load, loads, command)
    of_backfill = f"peak memory of `features backfill 1` of {rows:,} applications"
    yield growth("14 memory", of_backfill, backfills, command)


def peak_of_load(stand: Stand, path: Path) -> float:
    """Loads the file by a service started for it; gives the service's peak memory in MB."""
    with service(stand.folder, stand.url, ON_SUCCESS="delete") as process_id:
        stand.drop(path)
        return sum(map(peak_bytes, with_children(process_id))) / 1e6


def peak_of_backfill(stand: Stand) -> float:
    """Computes version 1 for all rows; gives the command's peak memory in MB."""
    stand.execute(*FORGET_BACKFILL)
    running = subprocess.Popen(
        [sys.executable, "-m", "app", "features", "backfill", "1"],
        cwd=PROJECT,
        env=environment_of(stand.folder, stand.url),
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise RuntimeError(f"the backfill ended with {running.returncode}")
    return used.ru_maxrss * 1024 / 1e6


def growth(number: str, work: str, peaks: Sequence[float], command: str) -> Measured:
    """Gives the line: the figure is how many times as much the large file takes."""
    few, many = peaks
    times = f"{many / few:.2f} x"
    is_met = many / few <= MOST_TIMES
    target = f"≤ {MOST_TIMES:g} x"
    return Measured(
        number, work, f"{many:.0f} MB", f"{few:.0f} MB", times, times, target, is_met, command
    )
