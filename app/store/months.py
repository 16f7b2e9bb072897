"""Feeds whose file is the month: the staged table becomes the month's partition.

A fresh month is promoted: copied, keyed, attached. A month that is there already is compared
with the staged one; few differences are applied in place, so unchanged rows are not rewritten,
and where most rows differ the staged table takes the partition's place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import asyncpg
from sqlalchemy import CursorResult, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app import crash_points
from app.crash_points import Point
from app.domain import Facts, LoadCounts, Pipeline, Tally
from app.store.engine import driver_error
from app.store.scripts import Scripts
from models.base import WAREHOUSE

# Above this share of changed rows a new partition costs less than changing the old one.
REPLACE_SHARE = 0.3
# How long readers of the whole table may be kept waiting for a replacement.
REPLACE_LOCK_TIMEOUT = "2s"
# Building the key and comparing two months both sort or hash every row; a hash table that
# outgrows the processor's caches takes longer than several small ones.
SORT_MEMORY = "512MB"
HASH_MEMORY = "64MB"
# Rows mostly come in the order of their key: one process builds it faster than several.
KEY_WORKERS = "0"
# The partition was just read as a whole, so looking rows up by their key costs no disk.
LOOKUP_COST = "1.1"
# What other readers and loads may do to a replacement; changing the month in place meets neither.
GIVES_WAY = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)


@dataclass(frozen=True, slots=True)
class Month:
    """One month of one feed during one load: its scripts, run on the load's connection."""

    connection: AsyncConnection
    scripts: Scripts
    pipeline: Pipeline
    facts: Facts
    load_id: int

    @property
    def staged(self) -> str:
        """Name of the table the file is copied into."""
        return f"{self.pipeline.name}_{self.load_id}"

    @property
    def partition(self) -> str:
        """Name of the month's partition, whether it exists or not."""
        return f"{self.pipeline.name}_{self.facts.month_start:%Y_%m}"

    @property
    def key(self) -> tuple[str, str]:
        """The columns of the key: the instant's and the id's."""
        if not self.pipeline.month_key:
            raise RuntimeError(f"pipeline {self.pipeline.name} names no key for its months")
        return self.pipeline.month_key

    def script(self, step: str) -> str:
        """Gives the name of the script of a step."""
        return f"merge/{self.pipeline.name}_{step}"

    @property
    def names(self) -> dict[str, str]:
        """The identifiers of this month that scripts name."""
        return {
            "staged": self.staged,
            "partition": self.partition,
            "key": f"pk_{self.partition}",
        }

    async def run(self, step: str) -> CursorResult[Any]:
        """Runs the statements of a step; gives the result of the last one."""
        statements = self.scripts.statements(
            self.script(step),
            self.names,
            load_id=str(self.load_id),
            scope=f"{self.facts.month_start:%Y-%m}",
            first=f"'{self.facts.month_start:%Y-%m-%d}'",
            beyond=f"'{self.facts.month_end:%Y-%m-%d}'",
        )
        for statement in statements:
            result = await self.connection.execute(statement)
        return result

    async def set(self, **options: str) -> None:
        """Sets options of the server until the end of the load's transaction."""
        for name, value in options.items():
            await self.connection.execute(text(f"SET LOCAL {name} = '{value}'"))

    async def exists(self) -> bool:
        """Whether the warehouse has the month's partition."""
        found = await self.connection.execute(
            text("SELECT 1 FROM pg_tables WHERE schemaname = :schema AND tablename = :partition"),
            {"schema": self.scripts.schema(WAREHOUSE), "partition": self.partition},
        )
        return found.first() is not None

    async def touch(self, days: Iterable[date]) -> None:
        """Notes the days for the next refresh."""
        await self.connection.execute(
            self.scripts.statement("merge/touch_days"),
            {"pipeline": self.pipeline.name, "load_id": self.load_id, "days": list(days)},
        )

    async def apply_changes(self) -> None:
        """Brings the changes found into the partition in place."""
        await self.set(random_page_cost=LOOKUP_COST)
        await self.run("apply_changes")


async def merge(month: Month, tally: Tally) -> LoadCounts:
    """Makes the warehouse's month equal the staged one, and notes the days that changed.

    Runs inside the load's transaction; the staged table is gone afterwards.
    """
    await month.set(
        maintenance_work_mem=SORT_MEMORY,
        max_parallel_maintenance_workers=KEY_WORKERS,
        work_mem=HASH_MEMORY,
    )
    repeated = 0 if tally.keys_differ else await _add_key(month)
    rows = tally.rows_staged - repeated
    if not await month.exists():
        if tally.keys_differ:
            await month.run("key")
        await month.run("promote")
        crash_points.reach(Point.MONTH_PROMOTED)
        await month.touch(tally.days)
        return LoadCounts(inserted=rows, duplicate=repeated)
    await month.run("changes")
    changes = (await month.run("count_changes")).one()
    crash_points.reach(Point.MONTH_COMPARED)
    await month.touch(changes.days)
    changed = changes.rows_inserted + changes.rows_updated + changes.rows_deleted
    if not (changed > REPLACE_SHARE * rows and await _replace(month, tally)):
        await _change(month, changed)
    return LoadCounts(
        inserted=changes.rows_inserted,
        updated=changes.rows_updated,
        unchanged=rows - changes.rows_inserted - changes.rows_updated,
        deleted=changes.rows_deleted,
        duplicate=repeated,
    )


async def _add_key(month: Month) -> int:
    """Gives the staged table its key; returns how many rows had to go for it.

    Building the key is the quickest way to see that no key stands twice, which is the rule.
    """
    try:
        async with month.connection.begin_nested():
            await month.run("key")
    except IntegrityError:
        repeated = (await month.run("drop_repeated")).rowcount
        await month.run("key")
        return repeated
    return 0


async def _change(month: Month, changed: int) -> None:
    """Applies the changes in place."""
    if changed:
        await month.apply_changes()
    crash_points.reach(Point.MONTH_CHANGED)
    await month.run("drop_staged")


async def _replace(month: Month, tally: Tally) -> bool:
    """Puts the staged table in the partition's place; False when readers do not leave in time."""
    try:
        async with month.connection.begin_nested() as attempt:
            if tally.keys_differ:
                await month.run("key")
            usual = await month.connection.execute(text("SELECT current_setting('lock_timeout')"))
            await month.set(lock_timeout=REPLACE_LOCK_TIMEOUT)
            await month.run("withdraw")
            if await _is_watched(month):
                await attempt.rollback()
                return False
            crash_points.reach(Point.MONTH_WITHDRAWN)
            await month.run("promote")
            crash_points.reach(Point.MONTH_REPLACED)
            await month.set(lock_timeout=usual.scalar_one())
    except DBAPIError as error:
        if isinstance(driver_error(error), GIVES_WAY):
            return False
        raise
    return True


async def _is_watched(month: Month) -> bool:
    """Whether someone would see the month empty after a replacement."""
    found = await month.connection.execute(month.scripts.statement("merge/old_snapshots"))
    return bool(found.scalar_one())
