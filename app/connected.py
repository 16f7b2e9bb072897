"""What every command needs first, and some need nothing more: settings, logs, one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import asyncpg

from app import crash_points, log
from app.settings import Settings, load_settings
from app.store.connection import connected
from app.store.database import open_database
from app.store.driver_errors import driver_errors

T = TypeVar("T")


def settings_for(*, quiet: bool = True, log_file: str | None = None) -> Settings:
    """Reads the settings and sets up the logs."""
    crash_points.asked_for()
    settings = load_settings()
    log.set_up(settings, quiet=quiet, log_file=log_file)
    return settings


def run_connected(settings: Settings, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    """Runs one command's work with a connection to the database and gives its result."""

    async def with_connection() -> T:
        with driver_errors():
            async with connected(database.url, settings) as connection:
                return await work(connection)

    with open_database(settings) as database, bare_errors():
        return asyncio.run(with_connection())


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
