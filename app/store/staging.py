"""Puts rows into staging by binary COPY: the only place that copies.

SQLAlchemy begins its transaction with its own first statement, and a COPY through the driver
before that would commit by itself; so `copy_rows` makes sure that a transaction is open.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from datetime import date, timedelta

import numpy as np
import polars as pl
from pgpq import ArrowToPostgresBinaryEncoder
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.engine import driver_connection

Encoded = bytes | memoryview

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"


# Types that take as many bytes in every row: how COPY writes them, and where PostgreSQL begins to
# count, in days or microseconds since 1970.
FIXED_WIDTH = {
    pl.Int64: (">i8", 0),
    pl.Date: (">i4", (date(2000, 1, 1) - date(1970, 1, 1)).days),
    pl.Datetime("us"): (">i8", (date(2000, 1, 1) - date(1970, 1, 1)) // timedelta(microseconds=1)),
}


def encode_rows(frame: pl.DataFrame) -> Encoded:
    """Gives the frame's rows in PostgreSQL's binary COPY format, without header and trailer.

    Int64 becomes bigint, String text, Date date, Datetime timestamp, List(String) text[].
    """
    if all(
        dtype in FIXED_WIDTH and not frame[name].null_count()
        for name, dtype in frame.schema.items()
    ):
        return _encode_fixed_width(frame)
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    encoder = ArrowToPostgresBinaryEncoder(table.schema)
    encoder.write_header()
    parts = [encoder.write_batch(batch) for batch in table.to_batches()]
    return b"".join([*parts, encoder.finish().removesuffix(TRAILER)])


def _encode_fixed_width(frame: pl.DataFrame) -> memoryview:
    """Lays the rows out as one array: the field count, then each field's length and value.

    Source of the layout: PostgreSQL's documentation of COPY, "Binary Format".
    """
    fields: list[tuple[str, str]] = [("field_count", ">i2")]
    for position, dtype in enumerate(frame.dtypes):
        fields += [(f"length_{position}", ">i4"), (f"value_{position}", FIXED_WIDTH[dtype][0])]
    rows = np.empty(len(frame), np.dtype(fields))
    rows["field_count"] = frame.width
    for position, column in enumerate(frame):
        values = rows[f"value_{position}"]
        rows[f"length_{position}"] = values.itemsize
        np.subtract(column.to_physical().to_numpy(), FIXED_WIDTH[column.dtype][1], out=values)
    return rows.view(np.uint8).data


async def copy_rows(
    connection: AsyncConnection,
    table: str,
    columns: Sequence[str],
    encoded: AsyncIterable[Encoded],
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

    async def framed() -> AsyncIterable[Encoded]:
        yield HEADER
        async for rows in encoded:
            yield rows
        yield TRAILER

    await driver.copy_to_table(
        table,
        schema_name=schema,
        columns=list(columns),
        source=framed(),  # type: ignore[arg-type]  # any buffer will do
        format="binary",
    )
