"""What people ask the database: recent loads, a load's rejects, freshness, rows of a view."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from sqlalchemy import TextClause, column, select, table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain import MessageReject, Reject
from app.store.scripts import Scripts
from models import ops

Rows = Sequence[Mapping[str, Any]]


async def _rows(
    connection: AsyncConnection, statement: TextClause, **values: object
) -> list[Mapping[str, Any]]:
    return [dict(row) for row in (await connection.execute(statement, values)).mappings()]


async def recent_files(connection: AsyncConnection, limit: int) -> Rows:
    """Gives the files that were loaded last, with what happened to each, newest first."""
    statement = text("SELECT * FROM ops.file_status ORDER BY load_id DESC LIMIT :limit")
    return await _rows(connection, statement, limit=limit)


async def freshness(
    connection: AsyncConnection, scripts: Scripts, derived: Mapping[str, str]
) -> Rows:
    """Gives each derived table's last refresh and the days that wait for the next one.

    derived: the pipeline that each derived table is computed from.
    """
    return await _rows(
        connection,
        scripts.statement("reports/freshness"),
        names=list(derived),
        pipelines=list(derived.values()),
    )


async def stream_rejects(connection: AsyncConnection, load_id: int) -> AsyncIterator[Reject]:
    """Gives a load's rejects in the order of the file or, as MessageReject, of the messages."""
    of_row = (ops.Reject.line_number, ops.Reject.column_name, ops.Reject.reason, ops.Reject.raw)
    of_message = (ops.Reject.topic, ops.Reject.partition, ops.Reject.message_offset)
    statement = (
        select(*of_row, *of_message)
        .where(ops.Reject.load_id == load_id)
        .order_by(ops.Reject.line_number)
    )
    async with connection.stream(statement) as rows:
        async for row in rows:
            line_number, column_name, reason, raw, topic, partition, offset = row
            reject = Reject(line_number, column_name, reason, raw)
            if topic is None or partition is None or offset is None:
                yield reject
            else:
                yield MessageReject.of(reject, topic, partition, offset)


async def first_rows(
    connection: AsyncConnection, schema: str, view: str, order: str, limit: int
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Gives the column names and the first rows of a view.

    order: as after ORDER BY; part of the program, never of a file.
    """
    rows = select("*").select_from(table(view, column("*"), schema=schema))
    result = await connection.execute(rows.order_by(text(order)).limit(limit))
    return list(result.keys()), [tuple(row) for row in result]
