"""Files away what is loaded: archived, deleted or quarantined, and noted in the ledger."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app import archive, claims, crash_points, files, threads
from app.archive import Note, Stored
from app.claims import LoadedFile, Outcome
from app.crash_points import Point
from app.domain import Load, LoadStatus, Reject
from app.errors import RetryableError
from app.examine import Examined
from app.settings import Settings
from app.store import ledger

log = structlog.get_logger()

MAKE_ROOM = "make room on that disk"
GIVE_ACCESS = "give the service's user write access there"
WHAT_TO_DO = {
    errno.ENOSPC: MAKE_ROOM,
    errno.EDQUOT: MAKE_ROOM,
    errno.EACCES: GIVE_ACCESS,
    errno.EPERM: GIVE_ACCESS,
    errno.EROFS: GIVE_ACCESS,
}


async def file_away(
    connection: AsyncConnection,
    load: Load,
    examined: Examined,
    settings: Settings,
    *,
    keep_source: bool,
) -> Load:
    """Moves the file out of imports/ and notes where it is; only ever after the commit.

    keep_source: leave the file where it is and keep a copy. Raises RetryableError when the file
    cannot be moved now; the same call later finishes it.
    """
    loaded = replace(loaded_file(load, examined), keep_source=keep_source)
    note = None
    if load.status in (LoadStatus.QUARANTINED, LoadStatus.FAILED):
        rejects = await ledger.first_rejects(connection, load.load_id, archive.NOTED_REJECTS)
        note = quarantine_note(load, examined.content.sha256, rejects)
    stored = await threads.run_until(loaded.stopped, move, loaded, note, settings)
    crash_points.reach(Point.MOVE_ENDED)
    filed = as_filed(load, stored)
    await ledger.record_filed(connection, load.load_id, filed.filed_path)
    return filed


async def file_all_away(
    connection: AsyncConnection,
    loads: Sequence[Load],
    seen: Sequence[Examined],
    settings: Settings,
) -> list[Load]:
    """Does the same for files that were all loaded, one after the other."""
    loaded = [loaded_file(load, examined) for load, examined in zip(loads, seen, strict=True)]
    stored = await threads.run(lambda: [move(each, None, settings) for each in loaded])
    crash_points.reach(Point.TOGETHER_MOVED)
    filed = [as_filed(load, where) for load, where in zip(loads, stored, strict=True)]
    await ledger.record_all_filed(connection, filed)
    return filed


def loaded_file(load: Load, examined: Examined) -> LoadedFile:
    """Gives what moving a file has to know of it."""
    return LoadedFile(
        source=examined.arrival.path,
        opened=examined.opened,
        identity=examined.identity,
        sha256=examined.content.sha256,
        name=examined.arrival.name,
        load_id=load.load_id,
    )


def as_filed(load: Load, stored: Stored) -> Load:
    """Gives the load with where its file is kept now."""
    if stored.outcome is not Outcome.MOVED:
        log.info("file was not moved", why=stored.outcome)
    return replace(load, filed_path=str(stored.path.absolute()) if stored.path else None)


def move(loaded: LoadedFile, note: Note | None, settings: Settings) -> Stored:
    """Archives or deletes the file, or quarantines it with the note if there is one. Blocks.

    Raises RetryableError, with the file in its place again, when that cannot be done now.
    """
    try:
        if note:
            return archive.quarantine(loaded, settings.quarantine_folder, note)
        if settings.on_success == "delete":
            return Stored(None, archive.delete(loaded))
        return archive.archive(loaded, settings.archive_folder, datetime.now(UTC))
    except (OSError, RetryableError) as error:
        with suppress(OSError):  # where that fails too, the next start puts it back
            claims.release_claim(loaded)
        if isinstance(error, RetryableError):
            raise
        folder = settings.quarantine_folder if note else settings.archive_folder
        raise RetryableError(cannot_be_moved(loaded, folder, error)) from error


def cannot_be_moved(loaded: LoadedFile, folder: Path, error: OSError) -> str:
    """Says what keeps a file from being moved, where, and what to do about it."""
    remedy = WHAT_TO_DO.get(error.errno or 0, "mend what is said there")
    place = files.printable_name(os.fsdecode(error.filename or folder))
    return (
        f"{loaded.name} cannot be moved: {error.strerror}: {place}. Its load is over and not done"
        f" again; {remedy}, and it is moved."
    )


def quarantine_note(load: Load, sha256: str, rejects: Sequence[Reject]) -> Note:
    """Says what is wrong with a file, for the note beside it."""
    fault = load.fault
    what_to_do = fault.what_to_do if fault else None
    if load.status is LoadStatus.FAILED:
        what_to_do = (
            f"look for load_id {load.load_id} in the logs and have the fault mended, then run"
            f" `python -m app replay {load.load_id}`"
        )
    return Note(
        pipeline=load.pipeline,
        sha256=sha256,
        at=datetime.now(UTC),
        reason=load.error or "",
        found=fault.found if fault else None,
        expected=fault.expected if fault else None,
        what_to_do=what_to_do,
        line_number=fault.line_number if fault else None,
        rejects=rejects,
    )
