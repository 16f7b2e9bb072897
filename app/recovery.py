"""Puts right what a killed service left behind, before the watcher looks at the folder.

Most of it needs nothing: a file still in imports/ is simply loaded, or filed away, by the next
look. What is left are files that a move was halfway through, and ledger lines whose file will
not come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app import claims, crash_points, threads
from app.crash_points import Point
from app.domain import LoadCounts, LoadStatus
from app.errors import RetryableError
from app.files import printable_name
from app.folder import waiting_files
from app.kept import find_kept
from app.loader import Tools
from app.settings import Settings
from app.store import direct, lane_locks, ledger
from app.store.engine import driver_errors
from app.store.ledger import Unsettled

log = structlog.get_logger()

PAUSES_SECONDS = (0.0, 0.1, 0.3, 0.8)


async def recover(tools: Tools) -> None:
    """Puts files back that a move was halfway through, and closes the books on the others."""
    with folder_errors(tools.settings):
        await threads.run(claims.restore_claims, tools.settings.imports_dir)
    await close_books(tools)


@contextmanager
def folder_errors(settings: Settings) -> Iterator[None]:
    """Turns trouble with the imports folder into RetryableError."""
    try:
        yield
    except OSError as error:
        raise RetryableError(
            f"The imports folder {settings.imports_dir} cannot be used: {error.strerror}"
        ) from error


async def close_books(tools: Tools) -> list[str]:
    """Ends loads that nobody runs and whose file is gone, and finds files that were moved.

    Gives the names of their files. Safe beside other services: a load that really runs holds its
    lane's lock.
    """
    with folder_errors(tools.settings):
        waiting = await threads.run(waiting_files, tools.settings)
    present = {printable_name(each.path.name) for each in waiting}
    with driver_errors():
        async with direct.connect(tools.engine) as connection:
            async with direct.transaction(connection):
                unsettled = await ledger.find_unsettled(connection)
            return [
                load.file_name
                for load in unsettled
                if load.file_name not in present
                and await settle_without_file(connection, load, tools.settings)
            ]


async def end_broken_off(tools: Tools) -> None:
    """Closes the books on a load that this command has just broken off.

    The server holds its lane until it notices that nobody is there any more.
    """
    for pause_seconds in PAUSES_SECONDS:
        await asyncio.sleep(pause_seconds)
        if await close_books(tools):
            return


async def settle_without_file(
    connection: AsyncConnection, unsettled: Unsettled, settings: Settings
) -> bool:
    """Closes the books on a load whose file is not in imports/ any more, unless it really runs."""
    lane = unsettled.content.lane(unsettled.file_name)
    async with direct.transaction(connection):
        if not await lane_locks.take_for_transaction(connection, lane):
            return False
        # Another service may have ended it since it was found.
        for load in await ledger.find_unsettled(connection, unsettled.load_id):
            kept = None
            if load.status is LoadStatus.RUNNING:
                reason = (
                    "Broken off, and the file is not in imports/; drop it there, or load it again."
                )
                await ledger.end(connection, load.load_id, LoadStatus.FAILED, LoadCounts(), reason)
                log.warning("load broken off", load_id=load.load_id, file=load.file_name)
            else:
                kept = await threads.run(find_kept, load.load_id, load.content.sha256, settings)
                log.info(
                    "load had finished", load_id=load.load_id, file=load.file_name, filed_path=kept
                )
            await ledger.record_filed(connection, load.load_id, str(kept) if kept else None)
            crash_points.reach(Point.BOOKS_CLOSED)
    return True
