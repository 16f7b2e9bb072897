"""Brings a file's rows into the warehouse: by the feed's merge script, or as a month."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import polars as pl
from sqlalchemy import text

from app.domain import Contract, LoadCounts, Merge, Tally
from app.store import comparison, months, staging
from app.store.comparison import Rows
from app.store.copy_format import encode_rows
from app.store.direct import Query, compiled
from app.store.engine import driver_connection
from app.store.months import Month
from app.store.scripts import Scripts
from models.base import STAGING

# Fewer rows are merged well without fresh statistics, and are sooner deleted than truncated.
MANY_ROWS = 10_000


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
    schema = {
        name: column.dtype for name, column in contract.columns().items() if name != "line_number"
    }
    async with comparison.compared(month, pl.Schema(schema), rows) as found:
        yield found or await _stage_month(month, list(schema), rows)


async def _stage(month: Month, columns: Sequence[str], rows: Rows) -> Prepared:
    staged = StagedRows(month)
    await _copy(month, staged.table, columns, rows)
    return staged


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
        connection, scripts = self.month.connection, self.month.scripts
        staged = f'"{scripts.schema(STAGING)}"."{self.table}"'
        is_large = tally.rows_staged >= MANY_ROWS
        if is_large:
            await connection.execute(text(f"ANALYZE {staged}"))
        [counts] = await merge_query(scripts, self.table).rows(
            connection, load_id=self.month.load_id, rows_staged=tally.rows_staged
        )
        clear = "TRUNCATE" if is_large else "DELETE FROM"
        await driver_connection(connection).execute(f"{clear} {staged}")
        return LoadCounts(
            inserted=counts["rows_inserted"],
            updated=counts["rows_updated"],
            unchanged=counts["rows_unchanged"],
            deleted=counts["rows_deleted"],
            duplicate=counts["rows_duplicate"],
        )


@lru_cache(maxsize=16)
def merge_query(scripts: Scripts, pipeline_name: str) -> Query:
    """Gives a feed's merge script for the driver."""
    return compiled(scripts.statement(f"merge/{pipeline_name}"))
