"""Files loaded in the foreground, one after the other, and loaded again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app import recovery, router, threads
from app.completeness import Observer, State
from app.domain import Arrival, Load, Years
from app.errors import (
    ConfigError,
    DatabaseUnreachableError,
    FileError,
    RetryableError,
    SluiceError,
)
from app.files import printable_name
from app.folder import ImportsFolder
from app.loader import Order, load_file
from app.replay import replay
from app.session import Session
from app.settings import Settings

# How a file's load ended, or why it never began.
End = Load | FileError | RetryableError


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """Files to load in the foreground, with the feed and the years where they were named."""

    files: tuple[Path, ...]
    pipeline: str | None
    force: bool
    years: Years | None = None


async def load(
    session: Session, request: LoadRequest, screen: Console, show: Callable[[End], None]
) -> None:
    """Loads files one after the other, with a progress bar at a terminal.

    show: told of each file's end as it comes; a file that is refused does not stop the others.
    Raises ConfigError for a pipeline that does not exist, or for years of one that takes none;
    DatabaseUnreachableError.
    """
    require_pipeline(session, request.pipeline)
    if request.years:
        require_years_taken(session, request)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    progress = Progress(
        *columns,
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )
    async with books_closed(session):
        with progress:
            await load_all(session, request, progress, show)


async def load_all(
    session: Session, request: LoadRequest, progress: Progress, show: Callable[[End], None]
) -> None:
    """Loads the files, and shows each one's end."""
    for path in request.files:
        try:
            show(await load_one(session, path, request, progress))
        except DatabaseUnreachableError:
            raise
        except (FileError, RetryableError) as refused:
            show(refused)


def require_pipeline(session: Session, name: str | None) -> None:
    """Raises ConfigError when there is no such pipeline."""
    known = [pipeline.name for pipeline in session.tools.pipelines]
    if name is not None and name not in known:
        raise ConfigError(f"There is no pipeline {name!r}; there are {', '.join(known)}")


def require_years_taken(session: Session, request: LoadRequest) -> None:
    """Raises ConfigError, before any file is loaded, when one is of a feed that takes no years."""
    for path in request.files:
        with suppress(FileError):  # its load says what is wrong with the name
            named = router.candidates(
                path.name,
                folder_of(path, request.pipeline, session.tools.settings),
                session.tools.pipelines,
            )
            router.require_years_taken([pipeline for pipeline, _ in named])


def folder_of(path: Path, pipeline: str | None, settings: Settings) -> str | None:
    """Gives the feed's folder that a file counts as being in: the feed named, or its own."""
    folder = path.resolve().parent
    if pipeline or folder.parent != settings.imports_dir.resolve():
        return pipeline
    return folder.name.lower()


async def load_one(session: Session, path: Path, request: LoadRequest, progress: Progress) -> Load:
    """Loads one file from wherever it is."""
    settings = session.tools.settings
    arrival = await threads.run(arrival_at, path, request.pipeline, settings)
    arrival = replace(arrival, years=request.years)
    task = progress.add_task(arrival.name, total=arrival.file_bytes)
    order = Order(
        force=request.force,
        keep_source=not await threads.run(is_dropped, path, settings),
        on_progress=lambda bytes_read: progress.update(task, completed=bytes_read),
    )
    return await load_file(arrival, session.tools, order)


def is_dropped(path: Path, settings: Settings) -> bool:
    """Whether the service itself would take the file, links resolved: not one that is kept. Blocks.

    What lies in the archive or the quarantine is the only copy of what an earlier load read.
    """
    folder = ImportsFolder(settings.imports_dir.resolve(), settings.archive_folder.resolve())
    return folder.is_of_interest(path.resolve())


def arrival_at(given: Path, pipeline: str | None, settings: Settings) -> Arrival:
    """Gives a file as an arrival; a pipeline that was named counts like the feed's own folder.

    A link that a person names is followed, as opposed to one that lies in the imports folder.
    Raises FileError when the file is not there or not complete. Blocks.
    """
    path = given.resolve()
    require_complete(given, path, settings)
    return Arrival(
        path=path,
        name=printable_name(given.name),
        folder=folder_of(path, pipeline, settings),
        file_bytes=path.stat().st_size,
        discovered_at=datetime.now(UTC),
    )


def require_complete(given: Path, path: Path, settings: Settings) -> None:
    """Raises FileError when there is no complete file to read."""
    if not path.exists():
        raise FileError(
            found=f"no file {printable_name(str(given))}",
            expected="a file",
            remedy="check the path and the folder",
        )
    outcome = Observer(settings.settle_seconds, lambda: 0.0).look(path)
    if outcome.state is State.NOT_REGULAR:
        raise FileError(
            found=f"{printable_name(str(given))}: {outcome.reason}",
            expected="a file",
            remedy="name the file itself",
        )
    if outcome.state not in (State.COMPLETE, State.SETTLING):
        raise FileError(
            found=f"{printable_name(str(given))}: {outcome.reason}",
            expected="a complete file",
            remedy="wait until it is written, then load it",
        )


async def replay_load(session: Session, load_id: int) -> Load:
    """Loads the kept file of an earlier load again."""
    async with books_closed(session):
        return await replay(load_id, session.tools, Order())


@asynccontextmanager
async def books_closed(session: Session) -> AsyncIterator[None]:
    """Has the ledger say so when the load inside is broken off, by Ctrl-C or SIGTERM."""
    try:
        yield
    except asyncio.CancelledError:
        with suppress(SluiceError):
            await recovery.end_broken_off(session.tools)
        raise
