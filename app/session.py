"""What every command needs before its own work: settings, logs, a database, an engine, tools."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from app import log
from app.loader import Tools
from app.pipelines import all_pipelines
from app.settings import Settings, load_settings
from app.store import migrate
from app.store.database import Database, open_database
from app.store.engine import connected_engine, driver_errors
from app.store.scripts import Scripts, schema_names

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Session:
    """An open database with its tools."""

    database: Database
    tools: Tools


def settings_for(*, quiet: bool = True, log_file: str | None = None) -> Settings:
    """Reads the settings and sets up the logs."""
    settings = load_settings()
    log.set_up(settings, quiet=quiet, log_file=log_file)
    return settings


@asynccontextmanager
async def open_session(settings: Settings, database: Database) -> AsyncIterator[Session]:
    """Gives the tools for one command; closes all connections afterwards."""
    async with connected_engine(database.url, settings) as engine:
        scripts = Scripts(schema_names(settings))
        yield Session(database, Tools(engine, scripts, settings, all_pipelines()))


def run_in_session(
    settings: Settings, work: Callable[[Session], Awaitable[T]], *, migrated: bool = False
) -> T:
    """Runs one command's work with an open database and gives its result.

    migrated: bring the schema up to date first, unless the settings say not to. The database is
    opened outside the event loop, so that an embedded server outlives it and stops after it.
    """

    async def with_session() -> T:
        async with open_session(settings, database) as session:
            return await work(session)

    with open_database(settings) as database:
        if migrated and settings.init_db:
            with driver_errors():
                migrate.upgrade(settings, database.url)
        with bare_errors():
            return asyncio.run(with_session())


@contextmanager
def bare_errors() -> Iterator[None]:
    """Raises what task groups wrapped as it was raised, unless there are several such errors."""
    cause: Exception
    try:
        yield
    except ExceptionGroup as group:
        cause = group
        while isinstance(cause, ExceptionGroup) and len(cause.exceptions) == 1:
            cause = cause.exceptions[0]
    else:
        return
    raise cause


def stop_on_signals() -> asyncio.Event:
    """Gives an event that SIGTERM and SIGINT set; call inside the event loop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
