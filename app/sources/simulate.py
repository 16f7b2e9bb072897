"""Fills a month of the source database with random rows, for trying the way from there to exports.

The same year, month and RANDOM_MAIN_CONTROLLER give the same rows, but for `entity_id`, which
the table's sequence counts on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from random import Random

import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import ConfigError
from app.settings import Settings
from app.sources.comparison import find_table
from app.sources.database import EMBEDDED_TABLE, MAKING, source_errors
from app.store.copy_format import encode_rows
from app.store.engine import connected_engine, driver_errors
from app.store.scripts import Scripts, schema_names
from app.store.staging import copy_rows

SATURDAY = 5
BATCH_ROWS = 100_000
COLUMNS = ("created_at", "value")
COUNT_MONTH = "SELECT count(*) FROM entity WHERE created_at >= :start AND created_at < :end"
DELETE_MONTH = "DELETE FROM entity WHERE created_at >= :start AND created_at < :end"
TYPES: dict[str, type[pl.DataType]] = {"integer": pl.Int32, "bigint": pl.Int64}
TYPE_OF_VALUE = """
SELECT CAST(CAST(atttypid AS regtype) AS text)
FROM pg_attribute
WHERE attrelid = CAST('entity' AS regclass) AND attname = 'value'
"""
# Comment of a table that may lose a month to a simulation.
MARK = "simulated"


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation did to a month of the source."""

    rows_deleted: int
    rows_inserted: int


def draw_rows(year: int, month: int, controller: int) -> Iterator[tuple[datetime, int]]:
    """Gives the rows of a month, `created_at` and `value`, in order of time.

    Python's `random.Random(year + month)` is asked, by `randint`, whose bounds both count, for a
    row's value and then for the seconds until the next row, again and again.
    """
    random = Random(year + month)  # noqa: S311 - a simulation, to be repeated
    pace = min(13 - month, month) * controller
    shortest, longest = (max(1, int(seconds / pace)) for seconds in (10_000, 2 * 10_000))
    at = datetime(year, month, 1)  # noqa: DTZ001 - instants without a zone, as stored
    while at.month == month:
        least = pace if at.weekday() < SATURDAY else 2 * pace
        yield at, random.randint(least, 2 * least)
        at += timedelta(seconds=random.randint(shortest, longest))


async def simulate(address: str, settings: Settings, year: int, month: int) -> Simulated:
    """Replaces a month of the source's rows by simulated ones, in one transaction.

    address: of the source. Makes the table where it is missing. Raises ConfigError, and changes
    nothing, where the table has other columns, or rows that nobody has simulated.
    """
    start = datetime(year, month, 1)  # noqa: DTZ001 - as stored
    bounds = {"start": start, "end": (start + timedelta(days=32)).replace(day=1)}
    with driver_errors(), source_errors(settings):
        async with connected_engine(address, settings) as engine, engine.begin() as connection:
            # One simulation at a time: two of a month would each keep the other's rows.
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MAKING})
            await make_table(connection)
            await mark_table(connection, settings)
            deleted = await connection.execute(text(DELETE_MONTH), bounds)
            await insert_month(connection, settings, year, month)
            inserted = await connection.scalar(text(COUNT_MONTH), bounds)
    return Simulated(deleted.rowcount, inserted)


async def make_table(connection: AsyncConnection) -> None:
    """Makes the table where there is none; asked first, as not every role may make tables."""
    if await connection.scalar(text("SELECT to_regclass('entity') IS NULL")):
        for statement in filter(str.strip, EMBEDDED_TABLE.split(";")):
            await connection.execute(text(statement))


async def mark_table(connection: AsyncConnection, settings: Settings) -> None:
    """Marks an empty table as one for simulations; raises ConfigError for rows of real life."""
    marked = text("SELECT obj_description('entity'::regclass, 'pg_class') = :mark")
    if await connection.scalar(marked, {"mark": MARK}):
        return
    if not await connection.scalar(text("SELECT EXISTS (SELECT FROM entity)")):
        await connection.execute(text(f"COMMENT ON TABLE entity IS '{MARK}'"))
    elif settings.source_database_url:
        raise ConfigError(
            "The source's table entity has rows that `simulate` did not write, and it would delete"
            " a month of them. If they may go, say so there:"
            f" COMMENT ON TABLE entity IS '{MARK}'"
        )


async def insert_month(
    connection: AsyncConnection, settings: Settings, year: int, month: int
) -> None:
    """Copies the simulated rows into the table."""
    schema = await find_table(connection, Scripts(schema_names(settings)))
    type_name = await connection.scalar(text(TYPE_OF_VALUE))
    if type_name not in TYPES:
        raise ConfigError(
            f"The source's {schema}.entity.value is {type_name}; `simulate` needs"
            f" {' or '.join(TYPES)}"
        )
    rows = draw_rows(year, month, settings.random_main_controller)
    encoded = (encode_rows(frame) async for frame in in_batches(rows, TYPES[type_name]))
    await copy_rows(connection, "entity", COLUMNS, encoded, schema=schema)


async def in_batches(
    rows: Iterator[tuple[datetime, int]], type_of_value: type[pl.DataType]
) -> AsyncIterator[pl.DataFrame]:
    """Gives the rows as frames, so that never all of them are in memory."""
    while batch := list(islice(rows, BATCH_ROWS)):
        yield pl.DataFrame(batch, orient="row", schema=COLUMNS).cast({"value": type_of_value})
