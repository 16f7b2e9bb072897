"""Brings the derived tables up to date with what loads touched; runs in the cron sidecar.

Loads note the days they touch in `ops.touched_day`; a refresh uses the notes up, recomputes
those days, and notes in `ops.changed_day` what the exports have to write again. It runs every
minute and mostly finds nothing to do, so it takes a plain asyncpg connection and imports little.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import asyncpg
import structlog

from app import crash_points
from app.crash_points import Point
from app.settings import Settings
from app.store.driver_errors import driver_errors
from app.store.scripts import Scripts, schema_names

log = structlog.get_logger()

# One refresh at a time, over all hosts: the key is Sluice's own, any fixed number would do.
REFRESH_LOCK = 7_583_923_002
# Past this, a run that waits for another one leaves the work to the next minute's.
LOCK_TIMEOUT = "60s"


@dataclass(frozen=True, slots=True)
class DerivedTable:
    """A table computed day by day from the rows of one pipeline.

    `sql/refresh/<name>.sql` makes the given `days` right and returns the days that changed;
    `sql/refresh/<name>_days.sql` gives all days there are, for a full refresh.
    """

    name: str
    pipeline: str


DERIVED_TABLES = (
    DerivedTable("default_liquidation_rolling_avg_hist", pipeline="loans"),
    DerivedTable("entity_daily", pipeline="entity"),
)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did to one derived table.

    days_covered: days that loads touched and that are right now; with `full`, all days.
    covered_load_id: newest load that touched one of them; None where there was none.
    """

    name: str
    days_covered: int = 0
    rows_changed: int = 0
    covered_load_id: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Touched:
    """The days to recompute, and the newest load they come from."""

    days: Sequence[date]
    covered_load_id: int | None


async def refresh(
    connection: asyncpg.Connection, settings: Settings, *, full: bool = False
) -> list[Refreshed]:
    """Recomputes the days touched since the last refresh, or all; both give the same tables.

    Each derived table is one transaction, so trouble with one leaves the others refreshed; one
    that fails is as before and its days stay noted. Runs wait for each other.
    Raises RetryableError when another run does not end in time, ConfigError when the database
    refuses.
    """
    began = time.monotonic()
    scripts = Scripts(schema_names(settings))
    refreshed = []
    with driver_errors():
        waiting = await connection.fetch(*scripts.call("refresh/waiting_pipelines"))
        pipelines = {row["pipeline"] for row in waiting}
        for table in DERIVED_TABLES:
            if full or table.pipeline in pipelines:
                async with connection.transaction():
                    done = await refresh_table(connection, scripts, table, full=full)
                crash_points.reach(Point.REFRESHED)
            else:
                done = Refreshed(table.name)
            refreshed.append(done)
    log.info(
        "derived tables refreshed",
        full=full,
        days_covered=sum(each.days_covered for each in refreshed),
        **{f"rows_changed.{each.name}": each.rows_changed for each in refreshed},
        seconds=round(time.monotonic() - began, 3),
    )
    return refreshed


async def refresh_table(
    connection: asyncpg.Connection, scripts: Scripts, table: DerivedTable, *, full: bool
) -> Refreshed:
    """Refreshes one derived table inside the caller's transaction, which holds the lock after."""
    began = time.monotonic()
    await take_lock(connection)
    touched = await use_up_notes(connection, scripts, table.pipeline)
    crash_points.reach(Point.NOTES_USED)
    if full:
        touched = await everything(connection, scripts, table)
    changed: list[date] = []
    if touched.days:
        changed = await recompute(connection, scripts, table, touched)
    return Refreshed(
        name=table.name,
        days_covered=len(touched.days),
        rows_changed=len(changed),
        covered_load_id=touched.covered_load_id,
        seconds=time.monotonic() - began,
    )


async def take_lock(connection: asyncpg.Connection) -> None:
    """Waits for other refreshes, of any table, to end; the transaction's end gives the lock back.

    One lock for all tables makes refresh_id follow the order of commits.
    """
    await connection.execute(
        f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; SELECT pg_advisory_xact_lock({REFRESH_LOCK})"
    )


async def use_up_notes(connection: asyncpg.Connection, scripts: Scripts, pipeline: str) -> Touched:
    """Removes the notes of loads that are committed by now, and gives what they say.

    Read before the rows are: a load that commits in between leaves its notes for the next run.
    """
    notes = await connection.fetch(*scripts.call("refresh/use_up_notes", pipeline=pipeline))
    days = sorted({note["day"] for note in notes})
    return Touched(days, max((note["load_id"] for note in notes), default=None))


async def everything(
    connection: asyncpg.Connection, scripts: Scripts, table: DerivedTable
) -> Touched:
    """Gives all days of the source and of the derived table, as if loads had just touched them."""
    newest_load = await connection.fetchval(
        *scripts.call("refresh/newest_load", pipeline=table.pipeline)
    )
    days = await connection.fetch(*scripts.call(f"refresh/{table.name}_days"))
    return Touched([row["day"] for row in days], newest_load)


async def recompute(
    connection: asyncpg.Connection, scripts: Scripts, table: DerivedTable, touched: Touched
) -> list[date]:
    """Makes the derived rows of the days right; gives the days whose rows changed.

    Writes down what the refresh covered, and the days that exports have to write again.
    """
    refreshed_at = await connection.fetchval(*scripts.call("refresh/next_instant", name=table.name))
    changed = await connection.fetch(
        *scripts.call(f"refresh/{table.name}", days=touched.days, refreshed_at=refreshed_at)
    )
    crash_points.reach(Point.RECOMPUTED)
    days = [row["day"] for row in changed]
    await connection.execute(
        *scripts.call(
            "refresh/record",
            name=table.name,
            started_at=refreshed_at,
            covered_load_id=touched.covered_load_id,
            days=days,
        )
    )
    crash_points.reach(Point.RECORDED)
    return days
