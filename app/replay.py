"""Loads an archived or quarantined file again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from app import archive, crash_points, files, threads
from app.crash_points import Point
from app.domain import Arrival, Load, LoadStatus, Years
from app.errors import ConfigError
from app.loader import Order, Tools, load_file
from app.store import direct, ledger
from app.store.engine import driver_errors
from models import ops


async def replay(load_id: int, tools: Tools, order: Order) -> Load:
    """Loads the file of an earlier load again, as a new load and even if it is unchanged.

    It counts as discovered when the earlier one was, so an as-of date that the file does not
    give stays what it was. A quarantined file leaves the quarantine; an archived one is copied.
    Raises ConfigError when there is no such load, or its file is not kept any more.
    """
    load = await read_line(load_id, tools)
    was_quarantined = load.status in (LoadStatus.QUARANTINED, LoadStatus.FAILED)
    kept = load.filed_path and await threads.run(files.identity_at, Path(load.filed_path))
    if not kept and was_quarantined and (again := await find_replayed(load, tools)):
        await follow_the_file(load, again, tools)
        return again
    if not kept:
        raise ConfigError(
            f"The file of load {load_id}, {load.file_name}, is not kept any more"
            f" (looked for {load.filed_path or 'nothing: it was deleted or never moved'});"
            " drop it into imports/ again"
        )
    again = await load_file(
        arrival_of(load, kept.file_bytes),
        tools,
        replace(order, force=True, keep_source=not was_quarantined),
    )
    crash_points.reach(Point.REPLAYED)
    if was_quarantined:
        await follow_the_file(load, again, tools)
    return again


async def read_line(load_id: int, tools: Tools) -> Row[Any]:
    """Gives a load's line of the ledger. Raises ConfigError when there is none."""
    with driver_errors():
        async with tools.engine.connect() as connection:
            found = await connection.execute(
                select(ops.Load.__table__).where(ops.Load.load_id == load_id)
            )
            load = found.one_or_none()
    if load is None:
        raise ConfigError(f"There is no load {load_id}; `status` lists the latest ones")
    return load


def arrival_of(load: Row[Any], file_bytes: int) -> Arrival:
    """Gives the kept file of a load as an arrival."""
    return Arrival(
        path=Path(load.filed_path),
        name=load.file_name,
        folder=load.folder,
        file_bytes=file_bytes,
        discovered_at=load.discovered_at,
        feed=load.pipeline,
        years=Years.parse(load.scope or ""),
    )


async def find_replayed(load: Row[Any], tools: Tools) -> Load | None:
    """Gives the load of a replay that was killed when the file had left the quarantine."""
    later = (
        select(ops.Load.__table__)
        .where(
            ops.Load.load_id > load.load_id,
            ops.Load.sha256 == load.sha256,
            ops.Load.file_name == load.file_name,
            ops.Load.filed_path.is_not(None),
        )
        .order_by(ops.Load.load_id.desc())
        .limit(1)
    )
    with driver_errors():
        async with tools.engine.connect() as connection:
            found = (await connection.execute(later)).mappings().one_or_none()
    return ledger.as_load(found) if found else None


async def follow_the_file(load: Row[Any], again: Load, tools: Tools) -> None:
    """Removes the note of a file that left the quarantine, and notes its new place."""
    note = Path(load.filed_path + archive.NOTE_ENDING)
    await threads.run(note.unlink, missing_ok=True)
    crash_points.reach(Point.NOTE_REMOVED)
    with driver_errors():
        async with direct.connect(tools.engine) as connection:
            await ledger.record_filed(connection, load.load_id, again.filed_path)
