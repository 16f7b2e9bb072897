"""Loads an archived or quarantined file again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sqlalchemy import select

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
    kept, was_quarantined = await find_kept(load_id, tools)
    again = await load_file(
        kept, tools, replace(order, force=True, keep_source=not was_quarantined)
    )
    crash_points.reach(Point.REPLAYED)
    if was_quarantined:
        await follow_the_file(load_id, kept.path, again, tools)
    return again


async def find_kept(load_id: int, tools: Tools) -> tuple[Arrival, bool]:
    """Gives the kept file of a load as an arrival, and whether it is in the quarantine."""
    with driver_errors():
        async with tools.engine.connect() as connection:
            found = await connection.execute(
                select(ops.Load.__table__).where(ops.Load.load_id == load_id)
            )
            load = found.one_or_none()
    if load is None:
        raise ConfigError(f"There is no load {load_id}; `status` lists the latest ones")
    kept = load.filed_path and files.identity_at(Path(load.filed_path))
    if not kept:
        raise ConfigError(
            f"The file of load {load_id}, {load.file_name}, is not kept any more"
            f" (looked for {load.filed_path or 'nothing: it was deleted or never moved'});"
            " drop it into imports/ again"
        )
    arrival = Arrival(
        path=Path(load.filed_path),
        name=load.file_name,
        folder=load.folder,
        file_bytes=kept.file_bytes,
        discovered_at=load.discovered_at,
        feed=load.pipeline,
        years=Years.parse(load.scope or ""),
    )
    return arrival, load.status in (LoadStatus.QUARANTINED, LoadStatus.FAILED)


async def follow_the_file(load_id: int, old_path: Path, again: Load, tools: Tools) -> None:
    """Removes the note of a file that left the quarantine, and notes its new place."""
    note = old_path.with_name(old_path.name + archive.NOTE_ENDING)
    await threads.run(note.unlink, missing_ok=True)
    crash_points.reach(Point.NOTE_REMOVED)
    with driver_errors():
        async with direct.connect(tools.engine) as connection:
            await ledger.record_filed(connection, load_id, again.filed_path)
