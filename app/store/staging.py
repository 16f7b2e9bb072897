"""Copies rows into tables and out of them: the only place that copies.

SQLAlchemy begins its transaction with its own first statement, and a COPY through the driver
before that would commit by itself; so `copy_rows` makes sure that a transaction is open.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app import crash_points
from app.crash_points import Point
from app.store.copy_format import HEADER, TRAILER, Encoded
from app.store.engine import driver_connection


async def copy_rows(
    connection: AsyncConnection,
    table: str,
    columns: Sequence[str],
    encoded: AsyncIterable[Encoded],
    *,
    schema: str,
    is_text: bool = False,
) -> None:
    """Copies encoded rows into a table, inside the connection's transaction.

    is_text: whether they are CSV, not binary. Nothing is committed here. Raises RuntimeError,
    before anything is copied, where no transaction is open.
    """
    driver = driver_connection(connection)
    if not driver.is_in_transaction():
        await connection.execute(text("SELECT 1"))
    if not driver.is_in_transaction():
        raise RuntimeError("COPY needs an open transaction, or it would commit by itself")

    async def framed() -> AsyncIterable[Encoded]:
        yield b"" if is_text else HEADER
        async for rows in encoded:
            if driver.is_closed():
                return
            yield rows
            crash_points.reach(Point.ROWS_SENT)
        yield b"" if is_text else TRAILER

    driver.add_termination_listener(wake_writer)
    try:
        await driver.copy_to_table(
            table,
            schema_name=schema,
            columns=list(columns),
            source=framed(),  # type: ignore[arg-type]  # any buffer will do
            format="csv" if is_text else "binary",
        )
    finally:
        driver.remove_termination_listener(wake_writer)


def wake_writer(lost: Any) -> None:
    """Lets a COPY learn that its connection is lost.

    While the server takes no more for a moment, asyncpg waits for room alone, and would for ever.
    """
    lost._protocol.resume_writing()  # noqa: SLF001 - asyncpg offers no other way


async def fetch_rows(connection: AsyncConnection, query: str) -> bytes:
    """Gives what a COPY of the query's rows gives, whole; the query bounds its size."""
    parts: list[bytes] = []

    async def take(part: bytes) -> None:
        parts.append(part)

    await driver_connection(connection).copy_from_query(query, output=take, format="binary")
    return b"".join(parts)
