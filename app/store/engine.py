"""The way to the database: its address, the engine, and driver errors in our own words."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from traceback import walk_tb
from typing import Any

import asyncpg
import sqlalchemy.exc
from sqlalchemy import URL, event, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.errors import ConfigError, DatabaseUnreachableError, RetryableError, SluiceError
from app.settings import Settings
from app.store.scripts import schema_names

CONNECT_SECONDS = 10
# Both ends give a connection up when the other one has been gone for 30 + 3 * 10 seconds; else the
# server keeps a dead session's locks for two hours, and a load waits for ever for a dead server.
KEEPALIVES = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
SOCKET_KEEPALIVES = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    # The same for what was sent and never acknowledged, of which keepalives know nothing.
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
)

# Trouble that passes by itself while the connection lives on.
PASSING = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InsufficientResourcesError,  # disk full, out of memory
    asyncpg.PostgresSystemError,  # the server's own disk
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.QueryCanceledError,
)
UNREACHABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # at times for a session that the server ended while it was idle
)
# What may reach us of trouble with the database; OSError is also what a disk's trouble is.
DRIVER_ERRORS = (
    sqlalchemy.exc.DBAPIError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
NOT_MIGRATED = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.InvalidSchemaNameError,
)
# A server that answers, and says that this address can never work.
REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)

# The first that fits counts, as some errors are special cases of others.
IN_OUR_WORDS = (
    (
        asyncpg.TooManyConnectionsError,
        DatabaseUnreachableError,
        "The database cannot be reached: {}",
    ),
    (asyncpg.ClientConfigurationError, ConfigError, "DATABASE_URL cannot work: {}"),
    (REFUSED, ConfigError, "The database refuses: {}"),
    (
        NOT_MIGRATED,
        ConfigError,
        "The database's schema is not up to date ({}); run `python -m app migrate`, or set"
        " STAGING_SCHEMA and DW_SCHEMA to the schemas it has",
    ),
    (
        asyncpg.LockNotAvailableError,
        RetryableError,
        "Another session holds a lock that this needs; `SELECT * FROM pg_locks` shows whose ({})",
    ),
    (PASSING, RetryableError, "The database cannot do this now: {}"),
)


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
            "server_settings": {"application_name": "sluice", **KEEPALIVES},
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
    transport = adapted.driver_connection._transport  # noqa: SLF001 - asyncpg has no option for it
    connected = transport.get_extra_info("socket")
    if connected.family in (socket.AF_INET, socket.AF_INET6):
        for option in SOCKET_KEEPALIVES:
            connected.setsockopt(*option)


def driver_connection(connection: AsyncConnection) -> asyncpg.Connection:
    """Gives the asyncpg connection below an open SQLAlchemy connection, for COPY."""
    adapted = connection.sync_connection.connection.dbapi_connection  # type: ignore[union-attr]
    raw: asyncpg.Connection = adapted.driver_connection  # type: ignore[union-attr]
    return raw


def driver_error(error: BaseException) -> BaseException:
    """Gives what asyncpg raised, without SQLAlchemy's wrappers around it."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


def describe(error: BaseException) -> str:
    """Says in one line what went wrong, without the statement and the rows it was about."""
    lines = str(driver_error(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def raised_below(error: BaseException, *packages: str) -> str | None:
    """Gives the innermost of the packages that the error came through, None where it is none."""
    modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    for module in reversed(modules):
        for package in packages:
            if f"{module}.".startswith(f"{package}."):
                return package
    return None


def is_unreachable(error: BaseException) -> bool:
    """Whether the database does not answer, or takes no connections for now."""
    if isinstance(error, OSError):
        # Rows that are copied come from files: the innermost of the two tells whose trouble it is.
        return raised_below(error, "asyncpg", "app") == "asyncpg"
    if isinstance(error, asyncpg.ObjectNotInPrerequisiteStateError):
        # ALTER DATABASE ... ALLOW_CONNECTIONS false; after connecting it means many other things.
        return raised_below(error, "asyncpg.connect_utils") is not None
    # A value that asyncpg cannot encode is a fault of ours, although it calls it InterfaceError.
    return isinstance(error, UNREACHABLE) and not isinstance(error, ValueError)


@contextmanager
def driver_errors() -> Iterator[None]:
    """Turns trouble with the database or with a disk into `RetryableError` or `ConfigError`.

    Errors that neither time nor settings can mend (a bug in our SQL) pass through unchanged, and
    so does what libraries call OSError although no system call failed.
    """
    try:
        yield
    except DRIVER_ERRORS as e:
        if (trouble := translated(driver_error(e))) is None:
            raise
        raise trouble from e


def translated(error: BaseException) -> SluiceError | None:
    """Gives the error in our own words; None for one that is a bug."""
    for kinds, ours, words in IN_OUR_WORDS:
        if isinstance(error, kinds):
            return ours(words.format(describe(error)))
    if is_unreachable(error):
        return DatabaseUnreachableError(f"The database cannot be reached: {describe(error)}")
    if isinstance(error, OSError) and error.errno is not None:
        path = f"{error.filename}: " if error.filename else ""
        return RetryableError(
            f"The disk keeps this from working: {path}{error.strerror}. Make room on it, or see to"
            " its rights."
        )
    return None
