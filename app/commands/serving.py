"""The service as commands run it: watch, run with its overview, migrate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app import deriving, grace, threads
from app.commands.asking import SHOWN_FILES
from app.folder import has_loadable_files
from app.service import Service
from app.session import Session, stop_on_signals
from app.settings import Settings
from app.store import migrate as migrations
from app.store import reports
from app.store.database import open_database
from app.store.engine import driver_connection, driver_errors

REFRESH_SECONDS = 60.0
FIRST_FILES_SECONDS = 120.0
LOOK_SECONDS = 0.1
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
        tasks.create_task(deriving.keep_derived(session.tools, stop, REFRESH_SECONDS))
        showing = derive_and_show(session, stop, show)
        await grace.in_time(showing, stop, session.tools.engine, "overview given up")


async def derive_and_show(
    session: Session, stop: asyncio.Event, show: Callable[[Overview], None]
) -> None:
    """Shows an overview once the first files are loaded and derived from, unless told to stop."""
    await first_files_loaded(session.tools.settings, stop)
    if not stop.is_set():
        await deriving.derive(session.tools)
        with deriving.outlived("overview cannot be shown"):
            show(await read_overview(session))


async def first_files_loaded(settings: Settings, stop: asyncio.Event) -> None:
    """Waits until no file is left to load; not for ever, as a file may stay incomplete."""
    with suppress(TimeoutError):
        async with asyncio.timeout(FIRST_FILES_SECONDS):
            while not stop.is_set() and await threads.run(has_loadable_files, settings):
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await stop.wait()


async def read_overview(session: Session) -> Overview:
    """Reads the latest files and the first rows of each view."""
    schema = session.tools.settings.dw_schema
    with driver_errors():
        async with session.tools.engine.connect() as connection:
            driver = driver_connection(connection)
            files = await reports.recent_files(driver, SHOWN_FILES)
            views = [
                View(
                    f"{schema}.{name}, {words}",
                    *await reports.first_rows(driver, schema, name, order, SHOWN_ROWS),
                )
                for name, order, words in SHOWN_VIEWS
            ]
    return Overview(files, views, session.database.psql_command)


def migrate(settings: Settings) -> str:
    """Brings the schema to the newest revision and gives that revision."""
    with open_database(settings) as database, driver_errors():
        return migrations.upgrade(settings, database.owner_url)
