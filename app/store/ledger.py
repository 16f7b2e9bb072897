"""The ledger of loads: claim, end and file a load, and find out what happened before.

Every function runs inside the caller's transaction and commits nothing.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Row, and_, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain import Arrival, Fault, Load, LoadCounts, LoadStatus, Reject
from models import ops

LOCK_WAIT = "3s"
WORKER = f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True, slots=True)
class Content:
    """What identifies a file's content and where it belongs.

    pipeline: None for a file that fits no feed; its name then keeps loads of it apart.
    """

    pipeline: str | None
    scope: str | None
    sha256: str

    def lane(self, file_name: str) -> str:
        """Names what may only be loaded by one worker at a time."""
        return f"{self.pipeline}/{self.scope or ''}" if self.pipeline else f"?/{file_name}"


def lock_key(lane: str) -> int:
    """Gives the advisory lock key of a lane: the first 8 bytes of its SHA-256, signed."""
    digest = hashlib.sha256(f"sluice/{lane}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


async def lock(connection: AsyncConnection, lane: str) -> bool:
    """Takes the lane until `unlock` or disconnect, unless another connection has it."""
    locking = text("SELECT pg_try_advisory_lock(:key)")
    taken = await connection.execute(locking, {"key": lock_key(lane)})
    return bool(taken.scalar_one())


async def limit_lock_waits(connection: AsyncConnection) -> None:
    """Lets statements of this transaction wait for somebody's lock for some seconds at most.

    So that what is waited for can be said before it is tried again.
    """
    await connection.execute(
        text("SELECT set_config('lock_timeout', :limit, true)"), {"limit": LOCK_WAIT}
    )


async def unlock(connection: AsyncConnection, lane: str) -> None:
    """Lets the next one in."""
    await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": lock_key(lane)})


def _same_place(content: Content) -> ColumnElement[bool]:
    # `= value` or `IS NULL`, since an index cannot serve IS NOT DISTINCT FROM.
    return and_(ops.Load.pipeline == content.pipeline, ops.Load.scope == content.scope)


def _same_file(arrival: Arrival) -> ColumnElement[bool]:
    return and_(ops.Load.file_name == arrival.name, ops.Load.folder == arrival.folder)


def as_load(row: Row[tuple[ops.Load]]) -> Load:
    """Gives a ledger row as a value."""
    fields = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    counts = {name: fields[f"rows_{name}"] for name in asdict(LoadCounts())}
    return Load(
        load_id=fields["load_id"],
        pipeline=fields["pipeline"],
        file_name=fields["file_name"],
        status=LoadStatus(fields["status"]),
        counts=LoadCounts(**counts),
        error=fields["error"],
        filed_path=fields["filed_path"],
        fault=Fault(**fields["fault"]) if fields["fault"] else None,
    )


async def find_unfiled(connection: AsyncConnection, arrival: Arrival, sha256: str) -> Load | None:
    """Finds an ended load of this very file whose file never left imports/ (a crash in between)."""
    ended = (
        select(ops.Load.__table__)
        .where(
            ops.Load.sha256 == sha256,
            _same_file(arrival),
            ops.Load.filed_at.is_(None),
            ops.Load.status != LoadStatus.RUNNING,
        )
        .order_by(ops.Load.load_id.desc())
        .limit(1)
    )
    row = (await connection.execute(ended)).one_or_none()
    return as_load(row) if row else None


async def find_same_content(connection: AsyncConnection, content: Content) -> int | None:
    """Gives the latest loaded load of the same place, if its content is this very one."""
    latest = (
        select(ops.Load.load_id, ops.Load.sha256)
        .where(_same_place(content), ops.Load.status == LoadStatus.LOADED)
        .order_by(ops.Load.finished_at.desc())
        .limit(1)
    )
    row = (await connection.execute(latest)).one_or_none()
    return row.load_id if row and row.sha256 == content.sha256 else None


async def claim(connection: AsyncConnection, arrival: Arrival, content: Content) -> tuple[int, int]:
    """Writes the start of a load and returns its id, and how often it was begun.

    A load of the same file that was broken off is taken up again under its own id, and one of
    what the file held before it was overwritten is ended. The caller holds the lane's lock, so
    a `running` load there is never one that really runs.
    """
    await _end_overwritten(connection, arrival, content)
    broken_off = (
        select(ops.Load.load_id)
        .where(
            _same_place(content),
            ops.Load.status == LoadStatus.RUNNING,
            ops.Load.filed_at.is_(None),
            ops.Load.sha256 == content.sha256,
            _same_file(arrival),
        )
        .order_by(ops.Load.load_id.desc())
        .limit(1)
        .scalar_subquery()
    )
    taken_up = await connection.execute(
        update(ops.Load)
        .where(ops.Load.load_id == broken_off)
        .values(
            attempt=ops.Load.attempt + 1,
            started_at=func.clock_timestamp(),
            worker=WORKER,
            error=None,
        )
        .returning(ops.Load.load_id, ops.Load.attempt)
    )
    if begun := taken_up.one_or_none():
        return begun.load_id, begun.attempt
    inserted = await connection.execute(
        insert(ops.Load)
        .values(**_description(arrival, content), status=LoadStatus.RUNNING)
        .returning(ops.Load.load_id)
    )
    return inserted.scalar_one(), 1


async def _end_overwritten(connection: AsyncConnection, arrival: Arrival, content: Content) -> None:
    await connection.execute(
        update(ops.Load)
        .where(
            _same_place(content),
            ops.Load.status == LoadStatus.RUNNING,
            ops.Load.filed_at.is_(None),
            ops.Load.sha256 != content.sha256,
            _same_file(arrival),
        )
        .values(
            status=LoadStatus.FAILED,
            finished_at=func.clock_timestamp(),
            filed_at=func.clock_timestamp(),
            error="Broken off, and the file was overwritten before it could be loaded again.",
        )
    )


async def record_duplicate(
    connection: AsyncConnection, arrival: Arrival, content: Content, *, of: int
) -> Load:
    """Writes that a file holds what load `of` brought already, in a load of its own."""
    inserted = await connection.execute(
        insert(ops.Load)
        .values(
            **_description(arrival, content),
            status=LoadStatus.DUPLICATE,
            finished_at=func.clock_timestamp(),
            error=f"The same content as load {of}, the latest one; nothing to load.",
        )
        .returning(ops.Load.__table__)
    )
    return as_load(inserted.one())


def _description(arrival: Arrival, content: Content) -> Mapping[str, object]:
    return {
        "pipeline": content.pipeline,
        "scope": content.scope,
        "file_name": arrival.name,
        "folder": arrival.folder,
        "file_bytes": arrival.file_bytes,
        "sha256": content.sha256,
        "discovered_at": arrival.discovered_at,
        "started_at": func.clock_timestamp(),
        "worker": WORKER,
    }


async def end(
    connection: AsyncConnection,
    load_id: int,
    status: LoadStatus,
    counts: LoadCounts,
    error: str | None = None,
    fault: Fault | None = None,
) -> Load:
    """Writes how a running load ended."""
    values: dict[str, object] = {f"rows_{name}": n for name, n in asdict(counts).items()}
    values |= {"status": status, "error": error, "fault": asdict(fault) if fault else None}
    ended = await connection.execute(
        update(ops.Load)
        .where(ops.Load.load_id == load_id)
        .values(finished_at=func.clock_timestamp(), **values)
        .returning(ops.Load.__table__)
    )
    return as_load(ended.one())


async def record_filed(connection: AsyncConnection, load_id: int, filed_path: str | None) -> None:
    """Writes that the load's file has left imports/, and where it is kept."""
    await connection.execute(
        update(ops.Load)
        .where(ops.Load.load_id == load_id)
        .values(filed_at=func.clock_timestamp(), filed_path=filed_path)
    )


async def find(connection: AsyncConnection, load_id: int) -> Load | None:
    """Gives one load, None where the ledger has no such id."""
    rows = await connection.execute(select(ops.Load.__table__).where(ops.Load.load_id == load_id))
    row = rows.one_or_none()
    return as_load(row) if row else None


async def first_rejects(connection: AsyncConnection, load_id: int, limit: int) -> list[Reject]:
    """Gives the load's rejects in the file's order, at most `limit`."""
    columns = (ops.Reject.line_number, ops.Reject.column_name, ops.Reject.reason, ops.Reject.raw)
    rows = await connection.execute(
        select(*columns)
        .where(ops.Reject.load_id == load_id)
        .order_by(ops.Reject.line_number)
        .limit(limit)
    )
    return [Reject(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A load that is `running`, or has ended with its file not filed away."""

    load_id: int
    file_name: str
    folder: str | None
    status: LoadStatus
    content: Content


async def find_unsettled(
    connection: AsyncConnection, load_id: int | None = None
) -> list[Unsettled]:
    """Gives the loads that a killed service may have left, by load_id; or the one asked for."""
    table = ops.Load
    unfiled = select(table.__table__).where(table.filed_at.is_(None)).order_by(table.load_id)
    if load_id is not None:
        unfiled = unfiled.where(table.load_id == load_id)
    rows = await connection.execute(unfiled)
    return [
        Unsettled(
            row.load_id,
            row.file_name,
            row.folder,
            LoadStatus(row.status),
            Content(row.pipeline, row.scope, row.sha256),
        )
        for row in rows
    ]


async def try_lock(connection: AsyncConnection, lane: str) -> bool:
    """Takes the lane's lock until the transaction's end, unless another connection has it."""
    locking = text("SELECT pg_try_advisory_xact_lock(:key)")
    taken = await connection.execute(locking, {"key": lock_key(lane)})
    return bool(taken.scalar_one())
