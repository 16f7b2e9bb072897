"""The way to the database: its address, the engine, and driver errors in our own words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import sqlalchemy.exc
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.errors import ConfigError, DatabaseUnreachableError, RetryableError
from app.settings import Settings
from app.store.scripts import schema_names

CONNECT_SECONDS = 10

# Trouble that passes by itself while the connection lives on.
PASSING = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
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
    asyncpg.ObjectNotInPrerequisiteStateError,  # ALTER DATABASE ... ALLOW_CONNECTIONS false
    asyncpg.InterfaceError,
    ConnectionError,
    TimeoutError,
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
        echo=settings.echo_sql,
        pool_size=settings.workers + 2,
        max_overflow=2,
        connect_args={
            "timeout": CONNECT_SECONDS,
            "server_settings": {"application_name": "sluice"},
        },
        execution_options={"schema_translate_map": schema_names(settings)},
    )
    try:
        yield engine
    finally:
        await engine.dispose()


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


@contextmanager
def driver_errors() -> Iterator[None]:
    """Turns trouble with the database into `RetryableError` or `ConfigError`.

    Errors that neither time nor settings can mend (a bug in our SQL) pass through unchanged.
    """
    try:
        yield
    except (sqlalchemy.exc.DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as e:
        error = driver_error(e)
        if isinstance(error, REFUSED):
            raise ConfigError(f"The database refuses: {describe(error)}") from e
        if isinstance(error, NOT_MIGRATED):
            raise ConfigError(
                f"The database's schema is not up to date ({describe(error)});"
                " run `python -m app migrate`"
            ) from e
        if isinstance(error, asyncpg.LockNotAvailableError):
            raise RetryableError(
                "Another session holds a lock that this needs; `SELECT * FROM pg_locks` shows whose"
                f" ({describe(error)})"
            ) from e
        # Before the others, as some of these are special cases of them.
        if isinstance(error, PASSING):
            raise RetryableError(f"The database cannot do this now: {describe(error)}") from e
        if isinstance(error, UNREACHABLE):
            raise DatabaseUnreachableError(
                f"The database cannot be reached: {describe(error)}"
            ) from e
        raise
