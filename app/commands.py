"""What the commands do, apart from printing: each is one use case that reads top to bottom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app import service, threads
from app.completeness import Observer, State
from app.domain import Arrival, Load, Reject
from app.errors import ConfigError, DatabaseUnreachableError, FileError, RetryableError
from app.export import export
from app.files import printable_name
from app.folder import ImportsFolder, Waiting, has_loadable_files
from app.loader import Order, load_file
from app.refresh import DERIVED_TABLES, refresh
from app.replay import replay
from app.service import Service
from app.session import Session, stop_on_signals
from app.settings import Settings
from app.store import ledger, reports
from app.store import migrate as migrations
from app.store.database import open_database
from app.store.engine import driver_errors

REFRESH_SECONDS = 60.0
FIRST_FILES_SECONDS = 120.0
LOOK_SECONDS = 0.1
SHOWN_FILES = 25
SHOWN_ROWS = 5
# Each with the order that shows a newcomer the most.
SHOWN_VIEWS = (
    ("default_liquidation_rolling_avg", "repayment_date DESC", "newest first"),
    ("entity_stats_daily", "year DESC, month DESC, day DESC", "newest first"),
    ("entity_stats_monthly", "year DESC, month DESC", "newest first"),
    ("entity_stats_yearly", "year DESC", "newest first"),
    ("job_title", "pdl_count DESC, title", "most frequent first"),
    ("related_title", "title, rank", "by title"),
)


# How a file's load ended, or why it never began.
End = Load | FileError | RetryableError


@dataclass(frozen=True, slots=True)
class View:
    """The first rows of a view or table."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Overview:
    """What a newcomer wants to see first."""

    files: reports.Rows
    views: Sequence[View]
    psql_command: str


async def watch(session: Session) -> None:
    """Runs the daemon until SIGTERM or SIGINT."""
    await Service(session.tools, stop_on_signals()).run()


async def run_all(session: Session, show: Callable[[Overview], None]) -> None:
    """Runs daemon, refresh and export; shows an overview once the first files are loaded.

    Nothing that goes wrong with the derived tables, the exports or the overview ends the daemon.
    """
    stop = stop_on_signals()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Service(session.tools, stop).run())
        tasks.create_task(service.keep_derived(session.tools, stop, REFRESH_SECONDS))
        await first_files_loaded(session.tools.settings, stop)
        if not stop.is_set():
            await service.derive(session.tools)
            with service.outlived("overview cannot be shown"):
                show(await read_overview(session))


async def first_files_loaded(settings: Settings, stop: asyncio.Event) -> None:
    """Waits until no file is left to load; not for ever, as a file may stay incomplete."""
    with suppress(TimeoutError):
        async with asyncio.timeout(FIRST_FILES_SECONDS):
            while not stop.is_set() and await threads.run(has_loadable_files, settings):
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_SECONDS)


async def read_overview(session: Session) -> Overview:
    """Reads the latest files and the first rows of each view."""
    schema = session.tools.settings.dw_schema
    with driver_errors():
        async with session.tools.engine.connect() as connection:
            files = await reports.recent_files(connection, SHOWN_FILES)
            views = [
                View(
                    f"{schema}.{name}, {words}",
                    *await reports.first_rows(connection, schema, name, order, SHOWN_ROWS),
                )
                for name, order, words in SHOWN_VIEWS
            ]
    return Overview(files, views, session.database.psql_command)


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """Files to load in the foreground, with the feed where it was named."""

    files: tuple[Path, ...]
    pipeline: str | None
    force: bool


async def load(
    session: Session, request: LoadRequest, screen: Console, show: Callable[[End], None]
) -> None:
    """Loads files one after the other, with a progress bar at a terminal.

    show: told of each file's end as it comes; a file that is refused does not stop the others.
    Raises ConfigError for a pipeline that does not exist, DatabaseUnreachableError.
    """
    require_pipeline(session, request.pipeline)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    progress = Progress(
        *columns,
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )
    with progress:
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


async def load_one(session: Session, path: Path, request: LoadRequest, progress: Progress) -> Load:
    """Loads one file from wherever it is."""
    settings = session.tools.settings
    arrival = await threads.run(arrival_at, path, request.pipeline, settings)
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
    in_feed_folder = path.parent.parent == settings.imports_dir.resolve()
    return Arrival(
        path=path,
        name=printable_name(given.name),
        folder=pipeline or (path.parent.name.lower() if in_feed_folder else None),
        file_bytes=path.stat().st_size,
        discovered_at=datetime.now(UTC),
    )


def require_complete(given: Path, path: Path, settings: Settings) -> None:
    """Raises FileError when there is no complete file to read."""
    if not path.exists():
        raise FileError(
            found=f"no file {given}", expected="a file", remedy="check the path and the folder"
        )
    outcome = Observer(settings.settle_seconds, lambda: 0.0).look(path)
    if outcome.state is State.NOT_REGULAR:
        raise FileError(
            found=f"{given}: {outcome.reason}",
            expected="a file",
            remedy="name the file itself",
        )
    if outcome.state not in (State.COMPLETE, State.SETTLING):
        raise FileError(
            found=f"{given}: {outcome.reason}",
            expected="a complete file",
            remedy="wait until it is written, then load it",
        )


async def replay_load(session: Session, load_id: int) -> Load:
    """Loads the kept file of an earlier load again."""
    return await replay(load_id, session.tools, Order())


async def refresh_tables(session: Session, *, full: bool) -> None:
    """Brings the derived tables up to date."""
    await refresh(session.tools.engine, session.tools.settings, full=full)


async def write_exports(
    session: Session, *, year: int | None, month: int | None, full: bool
) -> None:
    """Writes the exports that changed, or the ones asked for."""
    await export(session.tools.engine, session.tools.settings, year=year, month=month, full=full)


@dataclass(frozen=True, slots=True)
class Status:
    """What the database knows of files and derived tables."""

    files: reports.Rows
    freshness: reports.Rows


async def read_status(session: Session) -> Status:
    """Reads the latest files and the freshness of the derived tables."""
    derived: Mapping[str, str] = {table.name: table.pipeline for table in DERIVED_TABLES}
    with driver_errors():
        async with session.tools.engine.connect() as connection:
            return Status(
                files=await reports.recent_files(connection, SHOWN_FILES),
                freshness=await reports.freshness(connection, session.tools.scripts, derived),
            )


def waiting_as_json(waiting: Sequence[Waiting]) -> list[Mapping[str, Any]]:
    """Gives waiting files as plain values; a path that is not UTF-8 as it prints."""
    return [{**asdict(each), "path": printable_name(str(each.path))} for each in waiting]


async def list_rejects(
    session: Session, load_id: int, begin: Callable[[], None], show: Callable[[Reject], None]
) -> int:
    """Shows each rejected row of a load and gives their number.

    begin: called once, when the load is known to exist. Raises ConfigError when it does not.
    """
    count = 0
    with driver_errors():
        async with session.tools.engine.connect() as connection:
            if await ledger.find(connection, load_id) is None:
                raise ConfigError(f"There is no load {load_id}; `status` lists the latest ones")
            begin()
            async for reject in reports.stream_rejects(connection, load_id):
                show(reject)
                count += 1
    return count


def migrate(settings: Settings) -> str:
    """Brings the schema to the newest revision and gives that revision."""
    with open_database(settings) as database, driver_errors():
        return migrations.upgrade(settings, database.url)
