"""Brings a file's rows into the warehouse: by the feed's merge script, or as a month."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Protocol

import polars as pl

from app import crash_points
from app.crash_points import Point
from app.domain import Appends, LoadCounts, Merge, Tally
from app.rules import Contract
from app.store import appends, comparison, months, ranks, staging
from app.store.appends import Appended
from app.store.comparison import Rows
from app.store.copy_format import encode_rows
from app.store.direct import Query, compiled
from app.store.engine import driver_connection
from app.store.months import Month
from app.store.scripts import Scripts, as_clause
from models.base import STAGING

# Fewer rows are merged well without fresh statistics, and are sooner deleted than truncated.
MANY_ROWS = 10_000
# How a script begins: comments, and the word for a statement of several parts.
BEGINNING = re.compile(r"((?:--[^\n]*\n|\s)*)(WITH\b(?:\s+RECURSIVE\b)?)?", re.IGNORECASE)


class Prepared(Protocol):
    """A file's rows, or what they change, outside the warehouse still."""

    async def merge(self, tally: Tally) -> LoadCounts:
        """Brings them into the warehouse, inside the load's transaction.

        Returns what became of them; rejected rows and rows read are the caller's to add.
        """
        ...


@asynccontextmanager
async def prepared(month: Month, contract: type[Contract], rows: Rows) -> AsyncGenerator[Prepared]:
    """Reads the file to its end, and gives its rows ready to be merged."""
    if month.pipeline.merge is Merge.SCRIPT:
        yield await _stage(month, contract.column_names(), rows)
        return
    if to := month.pipeline.appends:
        yield await _bring_into_place(month, to, contract.column_names(), rows)
        return
    schema = {
        name: column.dtype for name, column in contract.columns().items() if name != "line_number"
    }
    async with comparison.compared(month, pl.Schema(schema), rows) as found:
        yield found or await _stage_month(month, list(schema), rows)


async def _stage(month: Month, columns: Sequence[str], rows: Rows) -> Prepared:
    staged = StagedRows(month)
    await _copy(month, staged.table, columns, rows)
    return staged


async def _bring_into_place(
    month: Month, to: Appends, columns: Sequence[str], rows: Rows
) -> Prepared:
    driver, scripts = driver_connection(month.connection), month.scripts
    place = await appends.find_place(driver, scripts, month.load_id)
    if await appends.is_new(driver, scripts, month.pipeline.name, place):
        await _copy_into_place(month, to, place, columns, rows)
        return CopiedIntoPlace(month, place)
    await _copy(month, month.pipeline.name, columns, rows)
    return StagedForPlace(month, place)


async def _copy_into_place(
    month: Month, to: Appends, place: int, columns: Sequence[str], rows: Rows
) -> None:
    """Reads the file twice: for how many rows each day has, and for the rows."""
    rows_of_days: Counter[date] = Counter()
    async with aclosing(rows([to.day], ranks.count_days)) as counts:
        async for each in counts:
            rows_of_days.update(each)
    await appends.copy_rows(
        month.connection,
        month.scripts,
        to,
        month.load_id,
        [name for name in columns if name != "line_number"],
        rows(columns, as_it_is),
        ranks.ByDay(to.day, rows_of_days, appends.first_id(place)),
    )


async def _stage_month(month: Month, columns: Sequence[str], rows: Rows) -> Prepared:
    await month.run("stage")
    await _copy(month, month.staged, columns, rows)
    return StagedMonth(month)


async def _copy(month: Month, table: str, columns: Sequence[str], rows: Rows) -> None:
    schema = month.scripts.schema(STAGING)
    async with aclosing(rows(columns, encode_rows)) as encoded:
        await staging.copy_rows(month.connection, table, columns, encoded, schema=schema)


@dataclass(frozen=True, slots=True)
class StagedMonth:
    """A month's rows in a table of their own."""

    month: Month

    async def merge(self, tally: Tally) -> LoadCounts:
        return await months.merge(self.month, tally)


@dataclass(frozen=True, slots=True)
class StagedRows:
    """Rows in the feed's staging table, for the feed's merge script."""

    month: Month

    @property
    def table(self) -> str:
        """The table's name, without the schema."""
        return self.month.pipeline.name

    async def merge(self, tally: Tally) -> LoadCounts:
        month, emptying = self.month, emptying_of(self.month, tally)
        await analyze(month, tally)
        deletes = emptying.startswith("DELETE")
        merge = merge_query(
            month.scripts,
            self.table,
            emptying if deletes else None,
            keys_differ=tally.keys_differ,
        )
        [counts] = await merge.rows(
            month.connection, load_id=month.load_id, rows_staged=tally.rows_staged
        )
        if not deletes:
            await driver_connection(month.connection).execute(emptying)
        return LoadCounts(
            inserted=counts["rows_inserted"],
            updated=counts["rows_updated"],
            unchanged=counts["rows_unchanged"],
            deleted=counts["rows_deleted"],
            duplicate=counts["rows_duplicate"],
        )


@dataclass(frozen=True, slots=True)
class CopiedIntoPlace:
    """Rows in a new place of the warehouse, without what follows from them."""

    month: Month
    place: int

    async def merge(self, tally: Tally) -> LoadCounts:
        return await follow(self.month, appends.appended(self.place, tally.rows_staged))


@dataclass(frozen=True, slots=True)
class StagedForPlace:
    """Rows in the feed's staging table, for the place of the warehouse that they correct."""

    month: Month
    place: int

    async def merge(self, tally: Tally) -> LoadCounts:
        month, driver = self.month, driver_connection(self.month.connection)
        await analyze(month, tally)
        replaced = await appends.replace(
            driver,
            month.scripts,
            month.pipeline.name,
            month.load_id,
            self.place,
            tally.rows_staged,
        )
        await driver.execute(emptying_of(month, tally))
        return await follow(month, replaced)


async def follow(month: Month, appended: Appended) -> LoadCounts:
    """Brings up to date what follows from a place's rows; gives what became of these."""
    if month.pipeline.follow:
        driver = driver_connection(month.connection)
        await driver.execute(f"SET LOCAL work_mem = '{appends.SORT_MEMORY}'")
        await month.pipeline.follow(driver, month.scripts, appended)
        crash_points.reach(Point.FOLLOWED)
    return appended.counts


def as_it_is(frame: pl.DataFrame) -> pl.DataFrame:
    """Leaves a frame of rows as it is."""
    return frame


def staged_table(month: Month) -> str:
    """Gives the feed's staging table as SQL."""
    return f'"{month.scripts.schema(STAGING)}"."{month.pipeline.name}"'


async def analyze(month: Month, tally: Tally) -> None:
    """Gives the planner fresh statistics of many staged rows."""
    if tally.rows_staged >= MANY_ROWS:
        # A tenth of the usual sample tells as much here: 3 ms instead of 25 for 46,000 rows.
        few = "SET LOCAL default_statistics_target = 10"
        await driver_connection(month.connection).execute(f"{few}; ANALYZE {staged_table(month)}")


def emptying_of(month: Month, tally: Tally) -> str:
    """Gives the statement that empties the staging table.

    What was deleted is read over again and again until autovacuum comes by, so the rows of small
    files are truncated, too, once they are many.
    """
    table, info = staged_table(month), month.connection.info
    rows = info.get(table, 0) + tally.rows_staged
    verb, info[table] = ("TRUNCATE", 0) if rows >= MANY_ROWS else ("DELETE FROM", rows)
    return f"{verb} {table}"


@lru_cache(maxsize=32)
def merge_query(
    scripts: Scripts, pipeline_name: str, delete: str | None = None, *, keys_differ: bool = False
) -> Query:
    """Gives a feed's merge script for the driver.

    keys_differ: written into the script, as the planner then leaves out what is not needed.
    delete: a statement that is made part of it, which saves a way to the server and back. All
    parts see the same state, so the script still reads what this one deletes.
    """
    sql = scripts.text(f"merge/{pipeline_name}").replace(":keys_differ", str(keys_differ).upper())
    if delete and (beginning := BEGINNING.match(sql)):
        comments, word = beginning.groups()
        part = f"{word or 'WITH'} emptied AS ({delete}){',' if word else ''}"
        sql = f"{comments}{part}{sql[beginning.end() :]}"
    return compiled(as_clause(sql))
