"""Statements that every load runs, sent by the driver itself, at a fifth of SQLAlchemy's cost.

SQLAlchemy's own statements on the same connection run in the same transactions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import asyncpg
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.compiler import SQLCompiler

from app.store.engine import driver_connection

# A statement waits for somebody's lock for some seconds at most, so that what is waited for can
# be said before it is tried again.
LOCK_WAIT = "3s"
# Looking up some hundred rows by their key is cheaper than reading all, but by default only where a
# table is far larger than memory is the planner right about what an index costs.
SETTINGS = f"SET lock_timeout = '{LOCK_WAIT}'; SET random_page_cost = 1.1"
USES = "sluice uses"
log = logging.getLogger("sqlalchemy.engine.driver")
_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Query:
    """A statement as the driver takes it.

    names: those of the bound values, in their order. constants: values that never change.
    """

    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, object]

    async def rows(self, connection: AsyncConnection, **values: object) -> list[asyncpg.Record]:
        """Runs the statement and gives its rows; values it has no use for are left out."""
        log.info(self.sql)  # where ECHO_SQL asks for it, as SQLAlchemy does
        bound = {**self.constants, **values}
        driver = driver_connection(connection)
        return await driver.fetch(self.sql, *[bound[name] for name in self.names])

    async def many(
        self, connection: AsyncConnection, values: Sequence[Mapping[str, object]]
    ) -> list[asyncpg.Record]:
        """Runs the statement for each of the values, all sent at once; gives all rows in order.

        All or none, where one goes wrong.
        """
        log.info("%s", self.sql)
        bound = [{**self.constants, **each} for each in values]
        calls = [[each[name] for name in self.names] for each in bound]
        return await driver_connection(connection).fetchmany(self.sql, calls)


def compiled(statement: ClauseElement) -> Query:
    """Gives a statement of SQLAlchemy's as a query; its schema names stay as they are."""
    text = cast("SQLCompiler", statement.compile(dialect=_DIALECT))
    return Query(str(text), tuple(text.positiontup or ()), text.params)


@asynccontextmanager
async def connect(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Gives a connection on which a statement outside of `transaction` commits by itself.

    After an error it is closed, and not used again: it may be to a server that is a standby now.
    """
    connection = await committing(engine).connect()
    while driver_connection(connection).is_closed():  # the server hung up while it was idle
        await connection.invalidate()
        await connection.close()
        connection = await committing(engine).connect()
    try:
        await get_ready(connection)
        yield connection
    except BaseException:
        with suppress(Exception):
            await connection.invalidate()
        raise
    finally:
        await connection.close()


@lru_cache(maxsize=1)
def committing(engine: AsyncEngine) -> AsyncEngine:
    """Gives the engine as one whose statements commit by themselves; it takes 0.2 ms to make."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


async def get_ready(connection: AsyncConnection) -> None:
    """Sets a connection up at its first use, and has its statements planned anew now and then.

    A plan made while a table was nearly empty reads all of it, each time, until autovacuum comes
    by, a minute later; so it is made again whenever the connection was used twice as often.
    """
    uses = connection.info[USES] = connection.info.get(USES, 0) + 1
    if uses == 1:
        await driver_connection(connection).execute(SETTINGS)
    elif uses.bit_count() == 1:
        await driver_connection(connection).execute("DISCARD PLANS")


@asynccontextmanager
async def transaction(connection: AsyncConnection) -> AsyncIterator[None]:
    """One transaction on a connection of `connect`, begun at once; rolled back on any error."""
    driver = driver_connection(connection)
    await driver.execute("BEGIN")
    try:
        yield
        await driver.execute("COMMIT")
    except asyncio.CancelledError:
        with suppress(Exception):  # a connection that is lost now must not hide who is to end
            await roll_back(driver)
        raise
    except BaseException:
        await roll_back(driver)
        raise
    finally:
        if connection.in_transaction():  # in SQLAlchemy's view, for savepoints; sends nothing
            await connection.rollback()


async def roll_back(driver: asyncpg.Connection) -> None:
    """Ends a transaction, unless it is gone already with its connection."""
    if driver.is_in_transaction() and not driver.is_closed():
        await driver.execute("ROLLBACK")
