"""The ledger of loads: claim, end and file a load, and find out what happened before.

Takes connections of `direct.connect`: outside of a transaction, each function commits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import asyncpg
from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain import Arrival, Fault, Load, LoadCounts, LoadStatus, Reject, Years
from app.store import direct
from app.store import ledger_queries as queries
from app.store.ledger_queries import Known
from models import ops


@dataclass(frozen=True, slots=True)
class Content:
    """What identifies a file's content and where it belongs.

    pipeline: None for a file that fits no feed; its name then keeps loads of it apart.
    is_appended: whether the feed's files stand beside each other, so that a content is there as
        long as its own file was not corrected, whatever was loaded since.
    """

    pipeline: str | None
    scope: str | None
    sha256: str
    is_appended: bool = False

    def lane(self, file_name: str) -> str:
        """Names what may only be loaded by one worker at a time: a feed, or a month of it."""
        month = "" if self.scope is None or Years.parse(self.scope) else self.scope
        return f"{self.pipeline}/{month}" if self.pipeline else f"?/{file_name}"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the ledger holds of a file about to be loaded, and of its place.

    unfiled: the load of this very file that ended, but its file never left imports/ (a crash in
        between). same: the latest loaded one of the place, where that brought this very content.
    is_running: whether a load of the file was broken off; nobody runs it, as the caller has the
        lane.
    """

    unfiled: int | None
    same: int | None
    is_running: bool


File = tuple[Arrival, Content]


def as_load(line: asyncpg.Record | RowMapping) -> Load:
    """Gives a ledger line as a value."""
    return Load(
        load_id=line["load_id"],
        pipeline=line["pipeline"],
        file_name=line["file_name"],
        status=LoadStatus(line["status"]),
        counts=LoadCounts(*(line[name] for name in queries.COUNTS)),
        error=line["error"],
        filed_path=line["filed_path"],
        fault=Fault(**line["fault"]) if line["fault"] else None,
    )


def _describe(arrival: Arrival, content: Content) -> tuple[Known, Mapping[str, object]]:
    known = Known(
        content.pipeline is not None,
        content.scope is not None,
        arrival.folder is not None,
        content.is_appended,
    )
    return known, {
        "pipeline": content.pipeline,
        "scope": content.scope,
        "sha256": content.sha256,
        "file_name": arrival.name,
        "folder": arrival.folder,
        "file_bytes": arrival.file_bytes,
        "discovered_at": arrival.discovered_at,
    }


async def find_earlier(connection: AsyncConnection, arrival: Arrival, content: Content) -> Earlier:
    """Finds out what happened before to the file and to its place."""
    known, line = _describe(arrival, content)
    [found] = await queries.earlier(known).rows(connection, **line)
    return Earlier(*found)


async def find_all_earlier(connection: AsyncConnection, files: Sequence[File]) -> list[Earlier]:
    """Finds out the same for several files of one place and folder."""
    described = [_describe(*each) for each in files]
    lines = [line for _, line in described]
    found = await queries.earlier(described[0][0]).many(connection, lines)
    return [Earlier(*each) for each in found]


async def find_same_content(connection: AsyncConnection, content: Content) -> int | None:
    """Gives the latest loaded load of the same place, if its content is this very one."""
    known = Known(content.pipeline is not None, content.scope is not None, folder=False)
    values = {name: getattr(content, name) for name in ("pipeline", "scope", "sha256")}
    found = await queries.same(known).rows(connection, **values)
    return found[0]["load_id"] if found else None


async def claim(
    connection: AsyncConnection, arrival: Arrival, content: Content, earlier: Earlier
) -> tuple[int, int]:
    """Writes the start of a load and returns its id, and how often it was begun.

    A load of the same file that was broken off is taken up again under its own id, and one of
    what the file held before it was overwritten is ended.
    """
    known, line = _describe(arrival, content)
    if earlier.is_running:
        async with direct.transaction(connection):
            await queries.end_overwritten(known).rows(connection, **line)
            taken_up = await queries.take_up(known).rows(connection, **line)
        if taken_up:
            return taken_up[0]["load_id"], taken_up[0]["attempt"]
    [begun] = await queries.begin().rows(connection, **line)
    return begun["load_id"], 1


async def claim_all(connection: AsyncConnection, files: Sequence[File]) -> list[int]:
    """Writes the start of several loads that are ordinary ones and returns their ids."""
    lines = [_describe(*each)[1] for each in files]
    return [begun["load_id"] for begun in await queries.begin().many(connection, lines)]


async def record_duplicate(
    connection: AsyncConnection, arrival: Arrival, content: Content, *, of: int
) -> Load:
    """Writes that a file holds what load `of` brought already, in a load of its own."""
    _, line = _describe(arrival, content)
    error = f"The same content as load {of}, the latest one; nothing to load."
    [ended] = await queries.duplicate().rows(connection, **line, error=error)
    return as_load(ended)


async def end(
    connection: AsyncConnection,
    load_id: int,
    status: LoadStatus,
    counts: LoadCounts,
    error: str | None = None,
    fault: Fault | None = None,
) -> Load:
    """Writes how a running load ended; in the transaction of the rows it brought."""
    line = _end_of(load_id, status, counts) | {
        "error": error,
        "fault": json.dumps(asdict(fault)) if fault else None,
    }
    [ended] = await queries.end().rows(connection, **line)
    return as_load(ended)


async def end_all(
    connection: AsyncConnection, load_ids: Sequence[int], counts: Sequence[LoadCounts]
) -> list[Load]:
    """Writes that several loads brought their rows; in the transaction of these rows."""
    ends = [
        _end_of(load_id, LoadStatus.LOADED, each) | {"error": None, "fault": None}
        for load_id, each in zip(load_ids, counts, strict=True)
    ]
    return [as_load(ended) for ended in await queries.end().many(connection, ends)]


def _end_of(load_id: int, status: LoadStatus, counts: LoadCounts) -> dict[str, object]:
    return {
        "of_load": load_id,
        "status": status.value,
        **{f"rows_{name}": count for name, count in asdict(counts).items()},
    }


async def record_filed(connection: AsyncConnection, load_id: int, filed_path: str | None) -> None:
    """Writes that the load's file has left imports/, and where it is kept."""
    await queries.filed().rows(connection, of_load=load_id, filed_path=filed_path)


async def record_all_filed(connection: AsyncConnection, loads: Sequence[Load]) -> None:
    """Writes the same of several loads."""
    lines = [{"of_load": load.load_id, "filed_path": load.filed_path} for load in loads]
    await queries.filed().many(connection, lines)


async def find(connection: AsyncConnection, load_id: int) -> Load | None:
    """Gives one load, None where the ledger has no such id."""
    lines = await queries.one().rows(connection, of_load=load_id)
    return as_load(lines[0]) if lines else None


async def read(connection: AsyncConnection, load_id: int) -> Load:
    """Gives a load that is known to be there; the ledger forgets none."""
    [line] = await queries.one().rows(connection, of_load=load_id)
    return as_load(line)


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
    return [
        Unsettled(
            row.load_id,
            row.file_name,
            row.folder,
            LoadStatus(row.status),
            Content(row.pipeline, row.scope, row.sha256),
        )
        for row in await connection.execute(unfiled)
    ]
