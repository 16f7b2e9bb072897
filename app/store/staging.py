"""Puts rows into staging by binary COPY: the only place that copies.

SQLAlchemy begins its transaction with its own first statement, and a COPY through the driver
before that would commit by itself; so `copy_rows` makes sure that a transaction is open.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence

import polars as pl
from pgpq import ArrowToPostgresBinaryEncoder
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.engine import driver_connection

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"


def encode_rows(frame: pl.DataFrame) -> bytes:
    """Gives the frame's rows in PostgreSQL's binary COPY format, without header and trailer.

    Int64 becomes bigint, String text, Date date, Datetime timestamp, List(String) text[].
    """
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    encoder = ArrowToPostgresBinaryEncoder(table.schema)
    encoder.write_header()
    parts = [encoder.write_batch(batch) for batch in table.to_batches()]
    return b"".join([*parts, encoder.finish().removesuffix(TRAILER)])


async def copy_rows(
    connection: AsyncConnection,
    table: str,
    columns: Sequence[str],
    encoded: AsyncIterable[bytes],
    *,
    schema: str,
) -> None:
    """Copies encoded rows into a table, inside the connection's transaction.

    Nothing is committed here. Raises RuntimeError, before anything is copied, where no
    transaction is open.
    """
    await connection.execute(text("SELECT 1"))
    driver = driver_connection(connection)
    if not driver.is_in_transaction():
        raise RuntimeError("COPY needs an open transaction, or it would commit by itself")

    async def framed() -> AsyncIterable[bytes]:
        yield HEADER
        async for rows in encoded:
            yield rows
        yield TRAILER

    await driver.copy_to_table(
        table, schema_name=schema, columns=list(columns), source=framed(), format="binary"
    )
