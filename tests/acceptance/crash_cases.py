"""What is dropped while the service is killed again and again, and what the warehouse has then.

For each feed every way its rows can take; the contents differ from round to round.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain

from app.crash_points import Point
from tests.acceptance.crash_walk import Check, Side, Walk, serve
from tests.acceptance.file_contents import (
    entity_csv,
    loans_csv,
    some_loans,
    some_values,
)
from tests.acceptance.front_door import Front
from tests.applications import Application, applications_csv, rescored, some_applications
from tests.integration.feature_values import require_all

Contents = Callable[[int], Mapping[str, bytes]]

BEFORE = (Point.EXAMINED, Point.LANE_TAKEN, Point.CLAIMED)
ROWS = (Point.ROWS_SENT, Point.STAGED)
AFTER = (Point.MERGED, Point.ENDED, Point.COMMITTED, Point.SETTLED)
MOVE = (Point.CLAIMING, Point.TAKEN, Point.MOVED, Point.MOVE_ENDED, Point.FILED)
# What each load passes, and is walked once for each feed.
WHOLE = (*BEFORE, *ROWS, *AFTER, *MOVE)
A_LOAD = frozenset(WHOLE)
TOGETHER = (
    "together.claimed",
    "load.rows_sent:2",
    "together.merged:2",
    "together.ended",
    "together.committed",
    "archive.taken:2",
    "archive.moved:3",
    "together.moved",
)


@dataclass(frozen=True)
class Files:
    """What is dropped in each round, and where the service is killed then.

    check: compares the warehouse with the files of so many rounds, in plain Python. before: of the
    first round. passed_too: walked by another case of the feed.
    """

    contents: Contents
    points: tuple[str, ...]
    check: Check
    passed_too: frozenset[Point] = frozenset()
    before: Mapping[str, bytes] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def walk(self) -> Walk:
        return Walk(
            self.points,
            self._drop,
            lambda _number: ("watch",),
            serve,
            self.passed_too,
            self._begin if self.before else None,
            by_one_service=self.points is not TOGETHER,
        )

    async def _begin(self, side: Side) -> None:
        for name, content in self.before.items():
            side.front.drop(name, content)
        await side.serve()

    async def _drop(self, side: Side, number: int) -> None:
        for name, content in self.contents(number).items():
            side.front.drop(name, content)


# Loans: rows of earlier files are overwritten, and one is bad


def loans_file(number: int) -> dict[str, bytes]:
    content = loans_csv(some_loans(20 + number, seed=number)) + b"2022-01-01,many,1,1\n"
    return {f"loans_{number}.csv": content}


async def check_loans(front: Front, rounds: int) -> None:
    assert await front.loans() == some_loans(19 + rounds, seed=rounds - 1)
    rejects = await front.rows("SELECT line_number, column_name FROM ops.reject ORDER BY load_id")
    assert rejects == [(22 + number, "loans") for number in range(rounds)]
    assert await front.rows("SELECT DISTINCT fault FROM ops.load") == [(None,)]


def loans_at_once(number: int) -> dict[str, bytes]:
    return {
        f"loans_{number}_{part}.csv": loans_csv(some_loans(9 + part, 10 * number + part))
        for part in range(4)
    }


async def check_loans_at_once(front: Front, rounds: int) -> None:
    assert await front.loans() == some_loans(12, 10 * (rounds - 1) + 3)


# Titles: some stand twice, and some in every file


def titles_file(number: int) -> dict[str, bytes]:
    titles = [f"title {n},{7 * n},friend {n}," for n in range(number, number + 9)]
    more = ["Every  Where,1,x,z", f"only {number},2,,", f"every where,{number + 5},y{number},x"]
    lines = ["title,pdl count,top related titles,", *titles, *more, ""]
    return {f"titles_{number}.csv": "\n".join(lines).encode()}


def titles_at_once(number: int) -> dict[str, bytes]:
    return {
        name: content
        for part in range(4)
        for name, content in titles_file(4 * number + part).items()
    }


async def check_titles(front: Front, rounds: int) -> None:
    expected = {f"title {n}": 7 * n for n in range(rounds + 8)}
    expected |= {f"only {number}": 2 for number in range(rounds)} | {"every where": rounds + 4}
    assert dict(await front.rows("SELECT title, pdl_count FROM warehouse.job_title")) == expected
    terms = await front.rows("SELECT title, related_title FROM warehouse.related_title")
    related = {(f"title {n}", f"friend {n}") for n in range(rounds + 8)}
    related |= {("every where", term) for term in ("x", f"y{rounds - 1}", "z")}
    assert sorted(terms) == sorted(related)


# Risk scores: files stand beside each other, or are corrected


def scores_of(number: int) -> list[Application]:
    return some_applications(60, seed=number, first=1000 * number + 1)


def scores_file(number: int) -> dict[str, bytes]:
    return {f"rejected_{number}.csv": applications_csv(scores_of(number))}


async def check_scores(front: Front, rounds: int) -> None:
    await require_all(front.sql, [scores_of(number) for number in range(rounds)], versions=(0,))


def corrected(number: int) -> list[Application]:
    return rescored(scores_of(0)[: 59 - number], number, number + 20)


def corrected_file(number: int) -> dict[str, bytes]:
    return {"rejected_0.csv": applications_csv(corrected(number))}


async def check_corrected(front: Front, rounds: int) -> None:
    files = [corrected(rounds - 1), scores_of(1)]
    await require_all(front.sql, files, versions=(0,))


# Entity: the file is the month


def month_of(number: int) -> str:
    return f"{2000 + number // 12}-{number % 12 + 1:02}"


def new_month(number: int) -> dict[str, bytes]:
    return {f"entity_{month_of(number)}.csv": entity_csv(values_of(number))}


def values_of(number: int) -> dict[tuple[datetime, int], int]:
    return some_values(90, seed=number, first=datetime.fromisoformat(f"{month_of(number)}-01"))


async def check_months(front: Front, rounds: int) -> None:
    months = (values_of(number) for number in range(rounds))
    assert await front.entity() == dict(chain.from_iterable(each.items() for each in months))


def version_of(number: int, changed: int) -> dict[tuple[datetime, int], int]:
    """A month with some other values than before, a row less and a row more."""
    values = some_values(90)
    for position, key in enumerate(list(values)):
        if position % 90 < changed:
            values[key] += 1000 + number
    values.pop(list(values)[-1 - number])
    return values


def in_order(number: int, changed: int) -> dict[str, bytes]:
    return {f"{number}_entity_2023-01.csv": entity_csv(version_of(number, changed))}


def shuffled(number: int) -> dict[str, bytes]:
    rows = list(version_of(number, 5).items())
    return {f"{number}_entity_2023-01.csv": entity_csv(dict([*rows[45:], *rows[:45]]))}


async def check_version(front: Front, rounds: int, changed: int = 5) -> None:
    assert await front.entity() == version_of(rounds - 1, changed)


# Files that are not loaded

HEADER = b"repayment_date,loans,defaults,liquidations\n"
# For its header, at the last row for the share of bad ones, and for having none.
REFUSED = (
    b"loans,defaults\n1,1\n",
    HEADER + b"2022-01-01,3,1,1\n2022-01-02,many,1,1\n",
    b"",
)


def refused_file(number: int) -> dict[str, bytes]:
    return {f"loans_{number}.csv": REFUSED[number % len(REFUSED)]}


async def check_refused(front: Front, rounds: int) -> None:
    assert await front.loans() == {}
    kept = {name: body for name, body in front.quarantined.items() if name.endswith(".csv")}
    assert kept == {
        f"{number + 1}_loans_{number}.csv": REFUSED[number % len(REFUSED)]
        for number in range(rounds)
    }
    notes = [json.loads(front.quarantined[f"{name}.error.json"]) for name in kept]
    parts = ("reason", "found", "expected", "what_to_do")
    assert all(note[part] for note in notes for part in parts)
    assert len(front.quarantined) == 2 * rounds


SENT_AGAIN = {"loans.csv": loans_csv(some_loans(20))}


def duplicate(number: int) -> dict[str, bytes]:
    return {f"loans_again_{number}.csv": SENT_AGAIN["loans.csv"]}


async def check_duplicates(front: Front, rounds: int) -> None:
    assert await front.loans() == some_loans(20)
    statuses = await front.rows("SELECT status, rows_read FROM ops.load ORDER BY load_id")
    assert statuses == [("loaded", 20), *[("duplicate", 0)] * rounds]


CASES = {
    "loans": Files(loans_file, WHOLE, check_loans),
    "loans, several at once": Files(loans_at_once, TOGETHER, check_loans_at_once, A_LOAD),
    "job_titles": Files(titles_file, WHOLE, check_titles),
    "job_titles, several at once": Files(
        titles_at_once, TOGETHER, lambda front, rounds: check_titles(front, 4 * rounds), A_LOAD
    ),
    "risk_scores": Files(scores_file, (*WHOLE, Point.APPENDED, Point.FOLLOWED), check_scores),
    "risk_scores, corrected": Files(
        corrected_file,
        (Point.CORRECTED, Point.FOLLOWED, Point.COMMITTED),
        check_corrected,
        A_LOAD,
        before={**scores_file(0), **scores_file(1)},
    ),
    "entity": Files(new_month, (*WHOLE, Point.MONTH_PROMOTED), check_months),
    "entity, few rows differ": Files(
        partial(in_order, changed=5),
        (Point.ROWS_SENT, Point.CHANGES_SENT, Point.CHANGES_APPLIED, Point.COMMITTED),
        check_version,
        A_LOAD,
        before={"entity_2023-01.csv": entity_csv(some_values(90))},
    ),
    "entity, few rows differ and none is in its place": Files(
        shuffled,
        (Point.MONTH_COMPARED, Point.MONTH_CHANGED, Point.COMMITTED),
        check_version,
        A_LOAD,
        before={"entity_2023-01.csv": entity_csv(some_values(90))},
    ),
    "entity, most rows differ": Files(
        partial(in_order, changed=90),
        (Point.MONTH_COMPARED, Point.MONTH_WITHDRAWN, Point.MONTH_REPLACED, Point.COMMITTED),
        partial(check_version, changed=90),
        A_LOAD,
        before={"entity_2023-01.csv": entity_csv(some_values(90))},
    ),
    "refused": Files(
        refused_file,
        (
            *(Point.CLAIMED, Point.ROWS_SENT, Point.REFUSED),
            # Each kind of note is written from what the ledger kept.
            *(Point.SETTLED, Point.SETTLED, Point.SETTLED),
            *(Point.NOTE_WRITTEN, Point.NOTED, *MOVE),
        ),
        check_refused,
        A_LOAD,
    ),
    "duplicate": Files(
        duplicate, (Point.SETTLED, *MOVE), check_duplicates, A_LOAD, before=SENT_AGAIN
    ),
    "deleted": Files(
        loans_file,
        (Point.TAKEN, Point.DELETED, Point.MOVE_ENDED),
        check_loans,
        A_LOAD,
        options={"ON_SUCCESS": "delete"},
    ),
    "archived on another disk": Files(
        loans_file,
        (Point.TAKEN, Point.PART_COPIED, Point.COPIED, Point.COPY_NAMED, Point.MOVE_ENDED),
        check_loans,
        A_LOAD,
        options={"ARCHIVE_DIR": "elsewhere"},
    ),
}
