"""A version computed for rows that are there already, chunk by chunk.

What is done is to be seen from the values themselves, so a backfill that was broken off needs no
note of how far it came: the next one passes over the rows that have values. Each chunk is computed
from the rows and the state before it, as every load is, so where it begins changes no value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import asyncpg

from app import crash_points
from app.crash_points import Point
from app.features import values
from app.features.definitions import Definition
from app.store.scripts import Scripts

# Half a second of work or so: a load that comes waits no longer, and a kill costs no more.
CHUNK_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Start:
    """after_id: the row before the first one. rows: how many there are from there on by now."""

    after_id: int
    rows: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of applications. rows_with_values: how many had values of the version before."""

    first_id: int
    last_id: int
    rows: int
    rows_with_values: int

    @property
    def is_done(self) -> bool:
        return self.rows == self.rows_with_values


async def find_start(
    connection: asyncpg.Connection, scripts: Scripts, from_day: date | None
) -> Start | None:
    """Gives where to start: the first application of that day or a later one, in load order.

    None when there is no such application.
    """
    row = await connection.fetchrow(*scripts.call("features/start", from_day=from_day))
    if row is None or row["first_id"] is None:
        return None
    return Start(row["first_id"] - 1, row["rows"])


async def fill_next(
    connection: asyncpg.Connection, scripts: Scripts, definition: Definition, after_id: int
) -> tuple[Chunk, int] | None:
    """Computes the next chunk after a row, in the transaction of who holds the feed's lane.

    Gives the chunk and how many of its rows' values were written; None at the end of the rows.
    """
    found = await connection.fetchrow(
        *scripts.call(
            "features/chunk", after_id=after_id, rows=CHUNK_ROWS, version=definition.version
        )
    )
    if found is None or found["first_id"] is None:
        return None
    chunk = Chunk(**dict(found))
    if chunk.is_done:
        return chunk, 0
    written = await values.compute(connection, scripts, definition, chunk.first_id, chunk.last_id)
    crash_points.reach(Point.CHUNK_COMPUTED)
    return chunk, written
