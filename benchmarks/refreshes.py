"""Row 8: a refresh after one new day, beside a materialized view of the same aggregate."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from benchmarks.files import month_frame, write_month
from benchmarks.results import Measured, Timer, faster
from benchmarks.stand import Stand, stand

FIRST_YEAR = 2013
YEARS = 3
ROWS_A_MONTH = 1_000_000

VIEW = "public.entity_daily_peer"
MAKE_VIEW = (
    f"DROP MATERIALIZED VIEW IF EXISTS {VIEW}",
    f"""
    CREATE MATERIALIZED VIEW {VIEW} AS
    SELECT
        CAST(created_at AS date) AS day,
        count(*) AS row_count,
        sum(value) AS sum_value,
        min(value) AS min_value,
        max(value) AS max_value
    FROM warehouse.entity
    GROUP BY CAST(created_at AS date)
    """,
    f"CREATE UNIQUE INDEX ON {VIEW} (day)",
)
REFRESH_VIEW = f"REFRESH MATERIALIZED VIEW CONCURRENTLY {VIEW}"
KEPT = "SELECT day, row_count, sum_value, min_value, max_value FROM warehouse.entity_daily"
DIFFERING_DAYS = f"""
SELECT count(*)
FROM (
    (TABLE {VIEW} EXCEPT {KEPT})
    UNION ALL
    ({KEPT} EXCEPT TABLE {VIEW})
) AS differing
"""
EVENTS = {"refresh": "derived tables refreshed", "export": "exports written"}


@dataclass(frozen=True, slots=True)
class Runs:
    """Seconds, run by run. own: of the refresh as it logs them; command: of its whole process."""

    own: list[float] = field(default_factory=list)
    command: list[float] = field(default_factory=list)
    view: list[float] = field(default_factory=list)


def measure(timer: Timer, quick: bool) -> Iterator[Measured]:
    """Measures both lines of row 8 on three years of months that came through the service."""
    rows = ROWS_A_MONTH // 10 if quick else ROWS_A_MONTH
    with stand(ON_SUCCESS="delete") as ready:
        fill(ready, range(YEARS * 12 - 1), rows)
        runs = after_new_days(ready, timer, YEARS, rows)
    held = f"{YEARS} years, {YEARS * 12 * rows:,} rows"
    psql = f'psql -c "{REFRESH_VIEW}"'
    work = f"refresh after one new day of {held}: both tables and their commits, as it logs"
    whole = "the same, the whole command: Python's start and the connection too"
    yield faster("8", work, runs.own, psql, runs.view, 50.0)
    yield faster("8 command", whole, runs.command, psql, runs.view, None)


def fill(stand: Stand, months: Iterable[int], rows: int) -> None:
    """Loads months, counted from the first one, through the service; one after the other."""
    for number in months:
        year, month = FIRST_YEAR + number // 12, number % 12 + 1
        load_month(stand, year, month, month_frame(year, month, rows))


def load_month(stand: Stand, year: int, month: int, frame: pl.DataFrame) -> None:
    """Loads a month's file, which is not kept."""
    path = write_month(frame, stand.folder / f"entity_{year}_{month:02}.csv")
    stand.drop(path)
    path.unlink()


def after_new_days(stand: Stand, timer: Timer, years: int, rows: int) -> Runs:
    """Has the last December of so many years grow by a day each time; refreshes table and view.

    The months before it are there. Raises RuntimeError when a refresh covered anything but the
    new day, or the two differ.
    """
    december = month_frame(FIRST_YEAR + years - 1, 12, rows)
    begin_with_days(stand, december, 31 - timer.times)
    runs = Runs()
    for number in timer.repetitions(f"new day after {years} years"):
        load_days(stand, december, 31 - timer.times + number)
        stand.execute("CHECKPOINT")
        seconds, log = stand.app("refresh")
        facts = facts_of("refresh", log)
        runs.command.append(seconds)
        runs.own.append(facts["seconds"])
        stand.execute("CHECKPOINT")
        runs.view.append(stand.psql(REFRESH_VIEW))
        if facts["days_covered"] != 1 or stand.value(DIFFERING_DAYS):
            raise RuntimeError(f"not one day was refreshed, or the view says otherwise: {log}")
    return runs


def begin_with_days(stand: Stand, month: pl.DataFrame, days: int) -> None:
    """Loads the month's first days; all tables are refreshed, vacuumed and analyzed then."""
    load_days(stand, month, days)
    stand.app("refresh")
    # So that autovacuum does not do it while something is measured.
    stand.execute("VACUUM (ANALYZE) warehouse.entity", *MAKE_VIEW, f"ANALYZE {VIEW}")


def load_days(stand: Stand, month: pl.DataFrame, days: int) -> None:
    """Loads the month's file as its source would send it after so many days."""
    first: datetime = month["created_at"][0]
    load_month(stand, first.year, first.month, month.filter(pl.col("created_at").dt.day() <= days))


def facts_of(command: str, log: str) -> dict[str, Any]:
    """Gives the facts of the line in which `refresh` or `export` says what it did."""
    lines = [json.loads(line) for line in log.splitlines()]
    return next(line for line in lines if line["event"] == EVENTS[command])
