"""What a command that loads needs before its own work: a database, an engine, the tools."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from app.connected import bare_errors, settings_for
from app.loader import Tools
from app.pipelines import all_pipelines
from app.settings import Settings
from app.store import migrate
from app.store.database import Database, open_database
from app.store.engine import connected_engine, driver_errors
from app.store.scripts import Scripts, schema_names

__all__ = [
    "Session",
    "bare_errors",
    "open_session",
    "run_in_session",
    "settings_for",
    "stop_on_signals",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Session:
    """An open database with its tools."""

    database: Database
    tools: Tools


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
                migrate.upgrade(settings, database.owner_url)
        with bare_errors():
            return asyncio.run(with_session())


def stop_on_signals() -> asyncio.Event:
    """Gives an event that SIGTERM and SIGINT set; call inside the event loop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
