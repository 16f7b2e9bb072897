"""The production database: its address, a look at it that changes nothing, its errors in our words.

First step of a pull. Where no SOURCE_DATABASE_URL is set, the embedded server plays its part with
a second database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import asyncpg
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.address import Address
from app.errors import ConfigError, DatabaseUnreachableError, RetryableError, SluiceError
from app.settings import Settings
from app.store.database import Database
from app.store.driver_errors import (
    REFUSED,
    describe,
    driver_error,
    driver_errors,
    is_unreachable,
    kinds,
)
from app.store.engine import connected_engine

EMBEDDED_SOURCE = "production_data"
# Run on the embedded server only: a given source is never written to.
EMBEDDED_TABLE = """
CREATE TABLE IF NOT EXISTS entity (
    entity_id bigserial PRIMARY KEY,
    created_at timestamp NOT NULL,
    value int NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_entity_created_at ON entity (created_at);
"""
# One maker at a time; any number, the same for all.
MAKING = 5_403_982_217


async def source_url(settings: Settings, database: Database) -> str:
    """Gives the address of the source: the setting's, else of a database beside the embedded one.

    database: the open one of the flow. The embedded source is made where it is missing, with an
    empty table. Raises ConfigError when the flow's database is given and the source is not.
    """
    if settings.source_database_url:
        return str(Address.parse(settings.source_database_url).with_ssl_as("ssl"))
    if settings.database_url:
        raise ConfigError(
            "Set SOURCE_DATABASE_URL to the address of the production database, like"
            " postgresql://user:password@host:5432/database; only without DATABASE_URL has"
            " it a default"
        )
    url = make_url(database.url).set(database=EMBEDDED_SOURCE)
    address = url.render_as_string(hide_password=False)
    with driver_errors():
        await make_embedded_source(database.url, address)
    return address


async def make_embedded_source(embedded_url: str, address: str) -> None:
    """Makes the embedded source and its table where they are missing."""
    connection = await asyncpg.connect(embedded_url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", MAKING)
        with suppress(asyncpg.DuplicateDatabaseError):
            await connection.execute(f"CREATE DATABASE {EMBEDDED_SOURCE}")
        source = await asyncpg.connect(address)
        try:
            await source.execute(EMBEDDED_TABLE)
        finally:
            await source.close()
    finally:
        await connection.close()


@asynccontextmanager
async def open_snapshot(address: str, settings: Settings) -> AsyncIterator[AsyncConnection]:
    """Gives the source as it is at one instant, for reading only.

    Every statement has the time of the settings. Raises DatabaseUnreachableError, ConfigError or
    RetryableError in words that name the source, also for what the block does with it.
    """
    with source_errors(settings):
        async with connected_engine(address, settings) as engine, engine.connect() as plain:
            source = await plain.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            milliseconds = round(settings.source_timeout_seconds * 1000)
            await source.execute(text(f"SET LOCAL statement_timeout = {milliseconds}"))
            # The form that files have, whatever the role or the database prefers.
            await source.execute(text("SET LOCAL DateStyle = 'ISO, YMD'"))
            yield source


@contextmanager
def source_errors(settings: Settings) -> Iterator[None]:
    """Turns trouble with the source into our own errors, without a word of its address."""
    try:
        yield
    except kinds() as e:
        if (trouble := translated(driver_error(e), settings)) is None:
            raise
        raise trouble from e


def translated(error: BaseException, settings: Settings) -> SluiceError | None:
    """Gives the error in our own words; None for one that is ours or the disk's."""
    said = describe(error)
    if isinstance(error, asyncpg.ClientConfigurationError):
        return ConfigError(f"SOURCE_DATABASE_URL cannot work: {said}")
    if isinstance(error, REFUSED):
        return ConfigError(f"The source database refuses: {said}")
    if isinstance(error, asyncpg.QueryCanceledError):
        return RetryableError(
            f"The source database did not answer in {settings.source_timeout_seconds:g} seconds"
            f" ({said}); give it more in SOURCE_TIMEOUT_SECONDS, or name months with --since"
        )
    if isinstance(error, asyncpg.TooManyConnectionsError) or is_unreachable(error):
        return DatabaseUnreachableError(f"The source database cannot be reached: {said}")
    if isinstance(error, asyncpg.PostgresError):
        # Whatever it is (a full disk, a standby that replays, a view that divides by zero), it is
        # the source's to mend.
        return RetryableError(f"The source database cannot answer: {said}")
    return None
