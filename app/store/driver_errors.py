"""Driver errors in our own words: whose trouble it is, and what to do about it.

Works with asyncpg's errors as they are and as SQLAlchemy wraps them, and does not import the
latter: commands that do without it are spared 200 ms.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb

import asyncpg

from app.errors import ConfigError, DatabaseUnreachableError, RetryableError, SluiceError

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
    asyncpg.TransactionTimeoutError,
    asyncpg.DatabaseDroppedError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # at times for a session that the server ended while it was idle
)
# What the driver and the event loop say when a connection is gone, each in the words of the call
# that noticed it first.
LOST = ("connection is closed", "connection was closed", "connection_lost", "Connection lost")
NOT_MIGRATED = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
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
    (asyncpg.DiskFullError, RetryableError, "The database's disk is full: {}"),
    (
        asyncpg.ReadOnlySQLTransactionError,
        RetryableError,
        "The database is read-only now, as a standby is: {}",
    ),
    (PASSING, RetryableError, "The database cannot do this now: {}"),
)


def wrappers() -> tuple[type[Exception], ...]:
    """Gives SQLAlchemy's class around driver errors, which none has where it is not imported."""
    errors = sys.modules.get("sqlalchemy.exc")
    return (errors.DBAPIError,) if errors else ()


def kinds() -> tuple[type[Exception], ...]:
    """Gives what may reach us of trouble with the database; OSError is also that of a disk."""
    return (
        *wrappers(),
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        OSError,
    )


def driver_error(error: BaseException) -> BaseException:
    """Gives what asyncpg raised, without SQLAlchemy's wrappers around it."""
    if isinstance(error, wrappers()) and (wrapped := getattr(error, "orig", None)) is not None:
        cause: BaseException = wrapped.__cause__ or wrapped
        return cause
    return error


def describe(error: BaseException) -> str:
    """Says in one line what went wrong, without the statement and the rows it was about."""
    lines = str(driver_error(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def describe_unreachable(error: BaseException) -> str:
    """Says in one line why the database cannot be reached, always the same of the same trouble."""
    said = describe(error)
    if any(words in said for words in LOST):
        return "the connection was lost"
    match error:
        case ConnectionResetError() | BrokenPipeError() | asyncpg.InternalClientError():
            return "the connection was lost"
        case TimeoutError():
            return "it does not answer in time"
        case FileNotFoundError():
            return "no server listens at its socket"
        case OSError(errno=int(), strerror=str(words)):
            return words
    return said


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
    except kinds() as e:
        if (trouble := translated(driver_error(e))) is None:
            raise
        raise trouble from e


def translated(error: BaseException) -> SluiceError | None:
    """Gives the error in our own words; None for one that is a bug."""
    for kinds, ours, words in IN_OUR_WORDS:
        if isinstance(error, kinds):
            return ours(words.format(describe(error)))
    if is_unreachable(error):
        reason = describe_unreachable(error)
        return DatabaseUnreachableError(f"The database cannot be reached: {reason}")
    if isinstance(error, OSError) and error.errno is not None:
        path = f"{error.filename}: " if error.filename else ""
        return RetryableError(
            f"The disk keeps this from working: {path}{error.strerror}. Make room on it, or see to"
            " its rights."
        )
    return None
