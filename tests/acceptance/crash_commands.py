"""Commands beside the service, killed at their own points and then run again, and what is then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import asyncpg

from app.crash_points import Point
from app.features.backfill import CHUNK_ROWS
from tests.acceptance.crash_cases import A_LOAD
from tests.acceptance.crash_walk import Check, Side, Walk, serve
from tests.acceptance.file_contents import entity_csv, loans_csv, some_loans
from tests.acceptance.front_door import Front
from tests.acceptance.production import TABLE
from tests.acceptance.snapshots import Snapshot
from tests.applications import applications_csv, some_applications
from tests.integration.exports_tree import assert_tree_is_right
from tests.integration.feature_values import require_all
from tests.integration.warehouse_rows import (
    Counts,
    Warehouse,
    assert_daily_stats_are_right,
    assert_rates_are_right,
)

SOURCE = "SOURCE_DATABASE_URL"


@dataclass(frozen=True)
class Command:
    """A walk, and what has to be in the warehouse and the folders after so many rounds."""

    walk: Walk
    check: Check


# Refresh and export: in each round other numbers, and a day less that was there before


def days_of(number: int) -> dict[date, list[int]]:
    days = [day for day in range(1, 9) if day != number % 8 + 1]
    return {date(2023, 1, day): [10 * number + day, -day, 7] for day in days}


def counts_of(number: int) -> dict[date, Counts]:
    return {date(2023, 3, 1) + timedelta(days=n): Counts(900, n % 3, n + number) for n in range(12)}


def month_file(days: Mapping[date, Iterable[int]]) -> bytes:
    rows = [(datetime.combine(day, time(8)), value) for day in days for value in days[day]]
    return entity_csv({(at, number): value for number, (at, value) in enumerate(rows, 1)})


async def load_both(side: Side, number: int) -> None:
    files = {
        f"{number}_entity_2023-01.csv": month_file(days_of(number)),
        f"loans_{number}.csv": loans_csv(counts_of(number)),
    }
    paths = [side.front.drop(name, content) for name, content in files.items()]
    await side.do("load", *map(str, paths))


async def load_and_refresh(side: Side, number: int) -> None:
    await load_both(side, number)
    await side.do("refresh")


async def refresh(side: Side, _number: int) -> None:
    await side.run("refresh")


async def export(side: Side, _number: int) -> None:
    await side.run("export")


def as_loaded(front: Front, rounds: int) -> Warehouse:
    return Warehouse(front.sql, loans=counts_of(rounds - 1), values=days_of(rounds - 1))


async def check_derived(front: Front, rounds: int) -> None:
    await assert_rates_are_right(as_loaded(front, rounds))
    await assert_daily_stats_are_right(as_loaded(front, rounds))


async def check_exports(front: Front, rounds: int) -> None:
    assert_tree_is_right(front.settings.exports_dir, as_loaded(front, rounds))


# Pull: in each round rows in two months more, and one month is emptied or filled again


async def change_source(side: Side, number: int) -> None:
    source = await asyncpg.connect(side.options[SOURCE])
    for month in (1, 2):
        await source.execute(
            "INSERT INTO entity (created_at, value)"
            " SELECT make_timestamp(2023, $1, 1 + n, 0, 0, 0), $2 + n"
            " FROM generate_series(0, 20) AS n",
            month,
            number,
        )
    if number % 2:
        await source.execute("DELETE FROM entity WHERE created_at >= '2023-03-01'")
    else:
        await source.execute("INSERT INTO entity (created_at, value) VALUES ('2023-03-04', 5)")
    await source.close()


async def make_source(side: Side) -> None:
    source = await asyncpg.connect(side.options[SOURCE])
    await source.execute(TABLE)
    await source.close()


async def pull(side: Side, _number: int) -> None:
    await side.run("pull", "--wait")


async def check_pulled(front: Front, rounds: int) -> None:
    months = [
        (datetime(2023, month, 1 + n), number + n)  # noqa: DTZ001 - the feed's instants have no zone
        for number in range(rounds)
        for month in (1, 2)
        for n in range(21)
    ]
    march = [] if rounds % 2 == 0 else [(datetime(2023, 3, 4), 5)]  # noqa: DTZ001 - the same
    found = await front.rows("SELECT created_at, value FROM warehouse.entity")
    assert sorted(found) == sorted([*months, *march])


# The next start: what it puts right may be broken off, too


TAKEN_AWAY = "Broken off, and the file is not in imports/; drop it there, or load it again."


async def be_killed_before(side: Side, number: int) -> None:
    path = side.front.drop(f"loans_{number}.csv", loans_csv(some_loans(20 + number, number)))
    before = (Point.TAKEN, Point.CLAIMED, Point.MOVED)[number]
    await side.crash(before, "watch")
    if before is Point.CLAIMED:
        path.unlink()


async def check_recovered(front: Front, _rounds: int) -> None:
    assert await front.loans() == some_loans(22, seed=2)
    ends = [(load["status"], load["error"]) for load in await front.ledger()]
    assert ends == [("loaded", None), ("failed", TAKEN_AWAY), ("loaded", None)]
    assert len(front.archived) == 2


# Files from elsewhere are copied, and a refused one is loaded again with other limits


async def put_outside(side: Side, number: int) -> None:
    dropped = side.front.drop(f"loans_{number}.csv", loans_csv(some_loans(20 + number, number)))
    (side.folder / "outside").mkdir(exist_ok=True)
    dropped.rename(side.folder / "outside" / dropped.name)


async def load_from_outside(side: Side, number: int) -> None:
    await side.run("load", f"outside/loans_{number}.csv")


async def check_copied(front: Front, rounds: int) -> None:
    assert await front.loans() == some_loans(19 + rounds, seed=rounds - 1)
    contents = [loans_csv(some_loans(20 + number, number)) for number in range(rounds)]
    assert sorted(front.archived.values()) == sorted(contents)


async def be_refused(side: Side, number: int) -> None:
    content = loans_csv(some_loans(20 + number, number)) + b"2022-01-01,many,1,1\n"
    path = side.front.drop(f"loans_{number}.csv", content)
    await side.do("load", str(path), code=1, MAX_REJECTED_RATIO="0")


def replay(number: int) -> tuple[str, ...]:
    return ("replay", str(2 * number + 1))


async def replay_again(side: Side, number: int) -> None:
    await side.run(*replay(number))


async def check_replayed(front: Front, rounds: int) -> None:
    assert await front.loans() == some_loans(19 + rounds, seed=rounds - 1)
    assert len(front.archived) == rounds
    assert front.quarantined == {}


# A version of the features is computed for rows that were there before


CHUNKS_AND_A_BIT = some_applications(2 * CHUNK_ROWS + 500)


async def load_applications(side: Side) -> None:
    path = side.front.drop("rejected.csv", applications_csv(CHUNKS_AND_A_BIT))
    await side.do("load", str(path))


async def nothing(_side: Side, _number: int) -> None:
    """Does nothing in a round."""


def backfill(number: int) -> tuple[str, ...]:
    return ("features", "backfill", str(1 + number))


async def backfill_again(side: Side, number: int) -> None:
    await side.run(*backfill(number))


async def look_at_features(side: Side) -> Snapshot:
    """How many values there are and their sum; each single one is compared at the end."""
    rows = await side.front.rows(
        "SELECT version, count(*), sum(ma50), sum(ma100) FROM warehouse.risk_score_feature"
        " GROUP BY version ORDER BY version"
    )
    return {"tables": {"features": rows}, "relations": [], "files": {}}


async def check_features(front: Front, _rounds: int) -> None:
    await require_all(front.sql, [CHUNKS_AND_A_BIT])


A_MONTH = A_LOAD | {point for point in Point if point.startswith("month.")}
REFRESH_STEPS = ("notes_used", "recomputed", "recorded", "table_committed")
EXPORT_POINTS = (
    "export.begun",
    "export.files_written",
    "export.file_named",
    "export.file_named:5",
    "export.file_removed",
    "export.before_mark",
    "export.mark_written",
    "export.marked",
    "export.files_written:3",
)
PULL_POINTS = (
    "pull.month_copied",
    "pull.month_copied:2",
    "pull.month_synced:2",
    "pull.month_linked",
    "pull.month_linked:3",
    "pull.month_named:2",
)
COMMANDS = {
    "refresh": Command(
        Walk(
            tuple(f"refresh.{step}{table}" for table in ("", ":2") for step in REFRESH_STEPS),
            load_both,
            lambda _number: ("refresh",),
            refresh,
        ),
        check_derived,
    ),
    "export": Command(
        Walk(
            EXPORT_POINTS,
            load_and_refresh,
            lambda _number: ("export",),
            export,
        ),
        check_exports,
    ),
    "pull": Command(
        Walk(
            PULL_POINTS,
            change_source,
            lambda _number: ("pull",),
            pull,
            A_MONTH,
            make_source,
        ),
        check_pulled,
    ),
    "recovery": Command(
        Walk(
            ("recovery.put_back", "recovery.books_closed", "recovery.books_closed"),
            be_killed_before,
            lambda _number: ("watch",),
            serve,
            A_LOAD,
        ),
        check_recovered,
    ),
    "load from elsewhere": Command(
        Walk(
            (Point.SETTLED, Point.PART_COPIED, Point.COPIED, Point.COPY_NAMED, Point.MOVE_ENDED),
            put_outside,
            lambda number: ("load", f"outside/loans_{number}.csv"),
            load_from_outside,
            A_LOAD,
        ),
        check_copied,
    ),
    "features backfill": Command(
        Walk(
            ("backfill.chunk_computed:2", "backfill.chunk_committed:2"),
            nothing,
            backfill,
            backfill_again,
            begin=load_applications,
            look=look_at_features,
        ),
        check_features,
    ),
    "replay": Command(
        Walk((Point.REPLAYED, Point.NOTE_REMOVED), be_refused, replay, replay_again, A_LOAD),
        check_replayed,
    ),
}
