"""Compares a month's file with the warehouse's month while the file is read.

A month sent again mostly says what is known already. Where its rows come in the order of their
key, they are laid beside the warehouse's, which come in that order by its index, and only what
differs goes to the server. Bounded memory: a page of the warehouse's rows and a batch of the
file's, and the differences in a temporary file once they are many.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Protocol, TypeVar

import polars as pl

from app import crash_points, threads
from app.crash_points import Point
from app.domain import LoadCounts, Tally
from app.store import differences, staging
from app.store.copy_format import decode_rows, encode_rows, is_fixed_width
from app.store.differences import Changes
from app.store.months import REPLACE_SHARE, Month
from app.store.spool import Spool

T = TypeVar("T")


class Rows(Protocol):
    """Reads a file from its start: its good rows with these columns, each batch in a form."""

    def __call__(
        self, columns: Sequence[str], form: Callable[[pl.DataFrame], T]
    ) -> AsyncGenerator[T]: ...


PAGE_ROWS = 200_000
# So many rows may differ before their share counts.
FEW_ROWS = 100_000


@asynccontextmanager
async def compared(
    month: Month, schema: pl.Schema, rows: Rows
) -> AsyncGenerator[Comparison | None]:
    """Gives what the file changes in the month, None where the file has to be staged whole.

    That is when the month is not there yet, when the rows do not come in key order, and when so
    many differ that a new partition costs less. schema: the month's columns, key included.
    """
    if not is_fixed_width(list(schema.values())) or not await month.exists():
        yield None
        return
    with Spool() as spool:
        comparison = Comparison(month, schema, spool)
        async with (
            aclosing(pages(month, schema)) as kept,
            aclosing(rows(schema.names(), _as_it_is)) as batches,
        ):
            is_worthwhile = await comparison.run(batches, kept)
        yield comparison if is_worthwhile else None


def _as_it_is(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


async def pages(month: Month, schema: pl.Schema) -> AsyncGenerator[pl.DataFrame]:
    """Gives the month's rows in key order, fetching the next page while one is being used.

    Uses the load's connection all the while.
    """

    async def fetch(instant: str, row_id: int) -> pl.DataFrame:
        query = month.scripts.text(
            month.script("kept"),
            month.names,
            instant=f"'{instant}'",
            row_id=str(row_id),
            page_rows=str(PAGE_ROWS),
        )
        return decode_rows(await staging.fetch_rows(month.connection, query), schema)

    upcoming = asyncio.ensure_future(fetch("-infinity", 0))
    try:
        while len(page := await asyncio.shield(upcoming)):
            instant, row_id = (page[name][-1] for name in month.key)
            upcoming = asyncio.ensure_future(fetch(instant.isoformat(" "), row_id))
            yield page
    finally:
        await threads.let_end([upcoming])


class Comparison:
    """A month's file beside its partition: what differs, ready to be applied."""

    def __init__(self, month: Month, schema: pl.Schema, spool: Spool) -> None:
        self.changes = Changes()
        self._month = month
        self._schema = schema
        self._spool = spool
        self._rows_seen = 0
        self._before: differences.Key | None = None
        self._page = pl.DataFrame(schema=schema)

    async def run(
        self, batches: AsyncGenerator[pl.DataFrame], kept: AsyncGenerator[pl.DataFrame]
    ) -> bool:
        """Compares to the end; False as soon as the file had better be staged whole."""
        async for batch in batches:
            if not self._goes_on(batch):
                return False
            await self._lay_beside(batch, kept)
            if not self._is_worthwhile(max(self._rows_seen, FEW_ROWS)):
                return False
        await self._note(self._page.clear(), self._page)
        async for page in kept:
            await self._note(page.clear(), page)
            if not self._is_worthwhile(max(self._rows_seen, FEW_ROWS)):
                return False
        return self._is_worthwhile(self._rows_seen)

    def _goes_on(self, batch: pl.DataFrame) -> bool:
        """Whether the batch's keys increase, from those before it on."""
        key = self._month.key
        follows = self._before is None or differences.rows_until(batch, key, self._before) == 0
        self._before = differences.last_key(batch, key)
        return follows and differences.is_ordered(batch, key)

    def _is_worthwhile(self, rows: int) -> bool:
        return self.changes.count <= REPLACE_SHARE * rows

    async def _lay_beside(self, batch: pl.DataFrame, kept: AsyncGenerator[pl.DataFrame]) -> None:
        """Compares the batch with the month's rows up to the batch's last key."""
        key = self._month.key
        self._rows_seen += len(batch)
        while len(batch):
            if self._page.is_empty():
                self._page = await anext(kept, self._page)
            if self._page.is_empty():
                await self._note(batch, self._page)
                return
            until = min(differences.last_key(batch, key), differences.last_key(self._page, key))
            of_batch, of_page = (
                differences.rows_until(rows, key, until) for rows in (batch, self._page)
            )
            await self._note(batch[:of_batch], self._page[:of_page])
            batch, self._page = batch[of_batch:], self._page[of_page:]

    async def _note(self, staged: pl.DataFrame, kept: pl.DataFrame) -> None:
        found = await threads.run(differences.find, staged, kept, self._month.key)
        if len(found):
            self.changes.add(found, self._month.key)
            await self._spool.write(encode_rows(found))

    async def merge(self, tally: Tally) -> LoadCounts:
        """Applies the changes in place, inside the load's transaction, and notes their days."""
        if self.changes.count:
            await self._month.run("change_table")
            columns = [*self._schema.names(), differences.IS_NEW]
            await staging.copy_rows(
                self._month.connection,
                "entity_change",
                columns,
                self._spool.chunks(),
                schema="pg_temp",
            )
            crash_points.reach(Point.CHANGES_SENT)
            await self._month.apply_changes()
            crash_points.reach(Point.CHANGES_APPLIED)
        await self._month.touch(self.changes.days)
        return LoadCounts(
            inserted=self.changes.inserted,
            updated=self.changes.updated,
            unchanged=tally.rows_staged - self.changes.inserted - self.changes.updated,
            deleted=self.changes.deleted,
        )
