"""Brings the derived tables up to date with what loads touched; runs in the cron sidecar.

Loads note the days they touch in `ops.touched_day`; a refresh uses the notes up, recomputes
those days, and notes in `ops.changed_day` what the exports have to write again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import structlog
from sqlalchemy import delete, func, insert, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.domain import LoadStatus
from app.settings import Settings
from app.store.engine import driver_errors
from app.store.scripts import Scripts, schema_names
from models.ops import ChangedDay, Load, Refresh, TouchedDay

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
    days_covered: int
    rows_changed: int
    covered_load_id: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Touched:
    """The days to recompute, and the newest load they come from."""

    days: Sequence[date]
    covered_load_id: int | None


async def refresh(
    engine: AsyncEngine, settings: Settings, *, full: bool = False
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
        for table in DERIVED_TABLES:
            async with engine.begin() as connection:
                refreshed.append(await refresh_table(connection, scripts, table, full=full))
    log.info(
        "derived tables refreshed",
        full=full,
        days_covered=sum(each.days_covered for each in refreshed),
        **{f"rows_changed.{each.name}": each.rows_changed for each in refreshed},
        seconds=round(time.monotonic() - began, 3),
    )
    return refreshed


async def refresh_table(
    connection: AsyncConnection, scripts: Scripts, table: DerivedTable, *, full: bool
) -> Refreshed:
    """Refreshes one derived table inside the caller's transaction, which holds the lock after."""
    began = time.monotonic()
    await take_lock(connection)
    touched = await use_up_notes(connection, table.pipeline)
    if full:
        touched = await everything(connection, scripts, table)
    changed: list[date] = []
    if touched.days:
        refreshed_at = await next_instant(connection, table)
        changed = await recompute(connection, scripts, table, touched.days, refreshed_at)
        await record(connection, table, touched, changed, refreshed_at)
    return Refreshed(
        name=table.name,
        days_covered=len(touched.days),
        rows_changed=len(changed),
        covered_load_id=touched.covered_load_id,
        seconds=time.monotonic() - began,
    )


async def take_lock(connection: AsyncConnection) -> None:
    """Waits for other refreshes, of any table, to end; the transaction's end gives the lock back.

    One lock for all tables makes refresh_id follow the order of commits.
    """
    await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    await connection.execute(text(f"SELECT pg_advisory_xact_lock({REFRESH_LOCK})"))


async def use_up_notes(connection: AsyncConnection, pipeline: str) -> Touched:
    """Removes the notes of loads that are committed by now, and gives what they say.

    Read before the rows are: a load that commits in between leaves its notes for the next run.
    """
    notes = await connection.execute(
        delete(TouchedDay)
        .where(TouchedDay.pipeline == pipeline)
        .returning(TouchedDay.day, TouchedDay.load_id)
    )
    load_ids_of_days = [(note.day, note.load_id) for note in notes]
    days = sorted({day for day, _ in load_ids_of_days})
    return Touched(days, max((load_id for _, load_id in load_ids_of_days), default=None))


async def everything(connection: AsyncConnection, scripts: Scripts, table: DerivedTable) -> Touched:
    """Gives all days of the source and of the derived table, as if loads had just touched them."""
    newest_load = select(func.max(Load.load_id)).where(
        Load.pipeline == table.pipeline, Load.status == LoadStatus.LOADED
    )
    covered_load_id = (await connection.execute(newest_load)).scalar_one()
    days = await connection.execute(scripts.statement(f"refresh/{table.name}_days"))
    return Touched(days.scalars().all(), covered_load_id)


async def next_instant(connection: AsyncConnection, table: DerivedTable) -> datetime:
    """Gives the time now, later than any earlier refresh even if the clock was set back."""
    last = (
        select(Refresh.started_at + text("interval '1 microsecond'"))
        .where(Refresh.name == table.name)
        .order_by(Refresh.refresh_id.desc())
        .limit(1)
        .scalar_subquery()
    )
    instant = await connection.execute(select(func.greatest(func.clock_timestamp(), last)))
    moment: datetime = instant.scalar_one()
    return moment


async def recompute(
    connection: AsyncConnection,
    scripts: Scripts,
    table: DerivedTable,
    days: Sequence[date],
    refreshed_at: datetime,
) -> list[date]:
    """Makes the derived rows of the days right; gives the days whose rows changed."""
    changed = await connection.execute(
        scripts.statement(f"refresh/{table.name}"),
        {"days": list(days), "refreshed_at": refreshed_at},
    )
    return list(changed.scalars())


async def record(
    connection: AsyncConnection,
    table: DerivedTable,
    touched: Touched,
    changed: Sequence[date],
    refreshed_at: datetime,
) -> None:
    """Writes what the refresh covered, and the days that exports have to write again."""
    inserted = await connection.execute(
        insert(Refresh)
        .values(
            name=table.name,
            started_at=refreshed_at,
            finished_at=func.greatest(func.clock_timestamp(), literal(refreshed_at)),
            rows_changed=len(changed),
            covered_load_id=touched.covered_load_id,
        )
        .returning(Refresh.refresh_id)
    )
    refresh_id = inserted.scalar_one()
    if changed:
        rows = [{"name": table.name, "day": day, "refresh_id": refresh_id} for day in changed]
        await connection.execute(insert(ChangedDay), rows)
