"""What people ask the database: recent loads, a load's rejects, freshness, rows of a view.

Without SQLAlchemy, as `status` is asked often, by people and by the containers' health check.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from app.domain import LoadStatus, MessageReject, Reject
from app.store.scripts import Scripts, quoted

Rows = Sequence[Mapping[str, Any]]

REJECTS = """
SELECT line_number, column_name, reason, raw, topic, partition, message_offset
FROM ops.reject
WHERE load_id = $1
ORDER BY line_number
"""


@dataclass(frozen=True, slots=True)
class End:
    """How a load ended, and where its file is kept now."""

    status: LoadStatus
    error: str | None
    filed_path: str | None


async def recent_files(connection: asyncpg.Connection, limit: int) -> Rows:
    """Gives the files that were loaded last, with what happened to each, newest first."""
    latest = "SELECT * FROM ops.file_status ORDER BY load_id DESC LIMIT $1"
    return [dict(row) for row in await connection.fetch(latest, limit)]


async def freshness(
    connection: asyncpg.Connection, scripts: Scripts, derived: Mapping[str, str]
) -> Rows:
    """Gives each derived table's last refresh and the days that wait for the next one.

    derived: the pipeline that each derived table is computed from.
    """
    call = scripts.call("reports/freshness", names=list(derived), pipelines=list(derived.values()))
    return [dict(row) for row in await connection.fetch(*call)]


async def find_end(connection: asyncpg.Connection, load_id: int) -> End | None:
    """Gives how a load ended, None where the ledger has no such id."""
    query = "SELECT status, error, filed_path FROM ops.load WHERE load_id = $1"
    found = await connection.fetchrow(query, load_id)
    return End(LoadStatus(found["status"]), found["error"], found["filed_path"]) if found else None


async def stream_rejects(connection: asyncpg.Connection, load_id: int) -> AsyncIterator[Reject]:
    """Gives a load's rejects in the order of the file or, as MessageReject, of the messages."""
    async with connection.transaction(readonly=True):
        async for row in connection.cursor(REJECTS, load_id):
            line_number, column_name, reason, raw, topic, partition, offset = row
            reject = Reject(line_number, column_name, reason, raw)
            if topic is None or partition is None or offset is None:
                yield reject
            else:
                yield MessageReject.of(reject, topic, partition, offset)


async def first_rows(
    connection: asyncpg.Connection, schema: str, view: str, order: str, limit: int
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Gives the column names and the first rows of a view.

    order: as after ORDER BY; part of the program, never of a file.
    """
    name = f"{quoted(schema)}.{quoted(view)}"
    every_row = f"SELECT * FROM {name} ORDER BY {order} LIMIT $1"  # noqa: S608 - ours, quoted
    rows = await connection.prepare(every_row)
    columns = [attribute.name for attribute in rows.get_attributes()]
    return columns, [tuple(row) for row in await rows.fetch(limit)]
