"""Waits until pulled files are loaded; loads them itself where no service does.

Last step of a pull with `--wait`. A service may take the same file at any instant: whoever is
first loads it, and the other one finds that in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from app import threads
from app.domain import Arrival, Load
from app.errors import DatabaseUnreachableError, FileChangedError, FileError, RetryableError
from app.loader import Tools, load_file
from app.sources.month_files import waiting_versions
from app.sources.postgres import PulledMonth
from app.store import ledger
from app.store.engine import driver_errors
from models import ops

# How a file's load ended, or why it never began.
End = Load | FileError | RetryableError


async def land(tools: Tools, pulled: Iterable[PulledMonth], show: Callable[[End], None]) -> None:
    """Sees each pulled file loaded, in the order of months; shows how each load ended.

    A file that is refused does not stop the others. Raises DatabaseUnreachableError.
    """
    for each in pulled:
        if each.path is None:
            continue
        try:
            await load_older(tools, each, each.path)
            show(await load_or_find(tools, each.path, each.sha256))
        except DatabaseUnreachableError:
            raise
        except (FileError, RetryableError) as refused:
            show(refused)


async def load_older(tools: Tools, pulled: PulledMonth, newest: Path) -> None:
    """Loads what earlier pulls left for the month: the newest file has to be loaded last."""
    for path in await threads.run(waiting_versions, newest.parent, pulled.month):
        if path == newest:
            return
        with suppress(FileChangedError):
            await load_file(await threads.run(arrival_at, path), tools)


async def load_or_find(tools: Tools, path: Path, sha256: str) -> Load:
    """Loads the file, or gives the load of the service that took it away.

    Raises RetryableError when it was taken away and never loaded.
    """
    try:
        return await load_file(await threads.run(arrival_at, path), tools)
    except FileChangedError:
        load = await find_load(tools, path.name, sha256)
        if load is None:
            raise
        return load


def arrival_at(path: Path) -> Arrival:
    """Gives the file as an arrival. Raises FileChangedError when it is gone."""
    try:
        file_bytes = path.stat().st_size
    except FileNotFoundError as error:
        raise FileChangedError(f"{path.name} was taken away before it was loaded") from error
    return Arrival(path.absolute(), path.name, None, file_bytes, datetime.now(UTC))


async def find_load(tools: Tools, file_name: str, sha256: str) -> Load | None:
    """Gives the newest load of that file and content."""
    newest = (
        select(ops.Load.__table__)
        .where(ops.Load.sha256 == sha256, ops.Load.file_name == file_name)
        .order_by(ops.Load.load_id.desc())
        .limit(1)
    )
    with driver_errors():
        async with tools.engine.connect() as connection:
            row = (await connection.execute(newest)).mappings().one_or_none()
    return ledger.as_load(row) if row else None
