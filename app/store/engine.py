"""The way to the database for loads: its address and the engine, with a pool of connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakSet

import asyncpg
import sqlalchemy.exc
from sqlalchemy import URL, event, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.errors import ConfigError
from app.settings import Settings
from app.store.connection import CONNECT_SECONDS, SERVER_SETTINGS, keep_socket_alive
from app.store.driver_errors import describe, driver_error, driver_errors
from app.store.scripts import schema_names

__all__ = [
    "connected_engine",
    "describe",
    "driver_connection",
    "driver_error",
    "driver_errors",
    "engine_url",
    "hang_up",
    "keep_alive",
]

# The engine's option that holds its open connections, for `hang_up`.
OPENED = "sluice_opened"
# A server that does not answer a farewell within it is not there any more.
FAREWELL_SECONDS = 1.0


def engine_url(database_url: str) -> URL:
    """Gives the address with the asyncpg driver; accepts `postgresql://` and `postgres://` too.

    Raises ConfigError when the text is no PostgreSQL address.
    """
    try:
        url = make_url(database_url)
    except sqlalchemy.exc.ArgumentError as error:
        raise ConfigError(
            "DATABASE_URL is not an address like postgresql://user:password@host:5432/database"
        ) from error
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigError(
            f"DATABASE_URL names {url.get_backend_name()!r}; Sluice works with PostgreSQL only"
        )
    return url.set(drivername="postgresql+asyncpg")


@asynccontextmanager
async def connected_engine(database_url: str, settings: Settings) -> AsyncIterator[AsyncEngine]:
    """Gives an engine whose statements use the settings' schema names; disposes of it after.

    Connections whose server does not answer keep it from that for a moment only.
    """
    opened: WeakSet[asyncpg.Connection] = WeakSet()
    engine = create_async_engine(
        engine_url(database_url),
        hide_parameters=True,
        pool_size=settings.workers + 2,
        max_overflow=2,
        connect_args={
            "timeout": CONNECT_SECONDS,
            "server_settings": SERVER_SETTINGS,
        },
        execution_options={"schema_translate_map": schema_names(settings), OPENED: opened},
    )
    event.listen(engine.sync_engine, "connect", keep_alive)
    event.listen(
        engine.sync_engine, "connect", lambda each, _record: opened.add(each.driver_connection)
    )
    try:
        yield engine
    finally:
        # All at once, and with a time limit, as opposed to what the engine does.
        farewells = [each.close(timeout=FAREWELL_SECONDS) for each in opened]
        await asyncio.gather(*farewells, return_exceptions=True)
        await engine.dispose()


def hang_up(engine: AsyncEngine) -> None:
    """Ends all connections of a `connected_engine` at once; who waits for an answer gets an error.

    What the server had under way it ends when it notices.
    """
    for connection in engine.get_execution_options()[OPENED].copy():
        connection.terminate()


def keep_alive(adapted: Any, _record: object) -> None:
    """Lets the kernel ask now and then whether the server is still there."""
    keep_socket_alive(adapted.driver_connection)


def driver_connection(connection: AsyncConnection) -> asyncpg.Connection:
    """Gives the asyncpg connection below an open SQLAlchemy connection, for COPY."""
    adapted = connection.sync_connection.connection.dbapi_connection  # type: ignore[union-attr]
    raw: asyncpg.Connection = adapted.driver_connection  # type: ignore[union-attr]
    return raw
