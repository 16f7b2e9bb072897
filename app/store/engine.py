"""The way to the database for loads: its address and the engine, with a pool of connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

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
    "keep_alive",
]


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
    """Gives an engine whose statements use the settings' schema names; disposes of it after."""
    engine = create_async_engine(
        engine_url(database_url),
        hide_parameters=True,
        pool_size=settings.workers + 2,
        max_overflow=2,
        connect_args={
            "timeout": CONNECT_SECONDS,
            "server_settings": SERVER_SETTINGS,
        },
        execution_options={"schema_translate_map": schema_names(settings)},
    )
    event.listen(engine.sync_engine, "connect", keep_alive)
    try:
        yield engine
    finally:
        await engine.dispose()


def keep_alive(adapted: Any, _record: object) -> None:
    """Lets the kernel ask now and then whether the server is still there."""
    keep_socket_alive(adapted.driver_connection)


def driver_connection(connection: AsyncConnection) -> asyncpg.Connection:
    """Gives the asyncpg connection below an open SQLAlchemy connection, for COPY."""
    adapted = connection.sync_connection.connection.dbapi_connection  # type: ignore[union-attr]
    raw: asyncpg.Connection = adapted.driver_connection  # type: ignore[union-attr]
    return raw
