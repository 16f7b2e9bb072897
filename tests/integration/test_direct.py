"""What loads say to the database directly: in one transaction or none, and safe on disk in time."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.domain import LoadStatus
from app.settings import Settings
from app.store import direct
from app.store.direct import Query, compiled
from app.store.engine import driver_connection
from tests.loading import Folder

LIMIT_SECONDS = 30
ADD = compiled(text("INSERT INTO numbers VALUES (:n) RETURNING n"))
ALL = Query("SELECT n FROM numbers ORDER BY n", (), {})
GOOD = "repayment_date,loans,defaults,liquidations\n2022-01-01,3,1,1\n"


async def kept(connection: AsyncConnection) -> list[int]:
    return [row["n"] for row in await ALL.rows(connection)]


async def add_and_fail(connection: AsyncConnection) -> None:
    async with direct.transaction(connection):
        await ADD.rows(connection, n=1)
        await Query("SELECT 1 / 0", (), {}).rows(connection)


@pytest.fixture
async def numbers(sql: asyncpg.Connection) -> None:
    await sql.execute("CREATE TABLE numbers (n integer)")


@pytest.mark.usefixtures("numbers")
async def test_outside_of_a_transaction_each_statement_commits(
    engine: AsyncEngine, sql: asyncpg.Connection
) -> None:
    async with direct.connect(engine) as connection:
        assert [row["n"] for row in await ADD.rows(connection, n=1, of_no_use=2)] == [1]
        await connection.execute(text("INSERT INTO numbers VALUES (2)"))
        assert await sql.fetchval("SELECT count(*) FROM numbers") == 2


@pytest.mark.usefixtures("numbers")
async def test_a_transaction_holds_the_statements_of_both_kinds(
    engine: AsyncEngine, sql: asyncpg.Connection
) -> None:
    async with direct.connect(engine) as connection:
        async with direct.transaction(connection):
            await ADD.rows(connection, n=1)
            await connection.execute(text("INSERT INTO numbers VALUES (2)"))
            async with connection.begin_nested() as attempt:
                await ADD.rows(connection, n=3)
                await attempt.rollback()
            assert await sql.fetchval("SELECT count(*) FROM numbers") == 0
        assert await kept(connection) == [1, 2]


@pytest.mark.usefixtures("numbers")
async def test_an_error_takes_the_whole_transaction_back_and_leaves_the_connection_usable(
    engine: AsyncEngine,
) -> None:
    async with direct.connect(engine) as connection:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await add_and_fail(connection)
        assert await kept(connection) == []
        async with direct.transaction(connection):
            await ADD.rows(connection, n=2)
        assert await kept(connection) == [2]


async def test_a_connection_that_the_server_ended_while_it_was_idle_is_replaced(
    engine: AsyncEngine, sql: asyncpg.Connection
) -> None:
    pid = Query("SELECT pg_backend_pid() AS pid", (), {})
    async with direct.connect(engine) as connection:
        [before] = await pid.rows(connection)
        driver = driver_connection(connection)
    await sql.execute("SELECT pg_terminate_backend($1, 10000)", before["pid"])
    async with asyncio.timeout(LIMIT_SECONDS):
        while not driver.is_closed():  # noqa: ASYNC110 - the driver's to notice
            await asyncio.sleep(0)

    async with direct.connect(engine) as connection:
        [after] = await pid.rows(connection)

    assert after["pid"] != before["pid"]


async def test_only_notes_that_may_be_lost_do_not_wait_for_the_disk(
    settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection
) -> None:
    await sql.execute(
        """
        CREATE TABLE seen (n serial, status text, filed boolean, waits text);
        CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO seen (status, filed, waits) VALUES (
                new.status, new.filed_at IS NOT NULL, current_setting('synchronous_commit')
            );
            RETURN NULL;
        END $$;
        CREATE TRIGGER look AFTER INSERT OR UPDATE ON ops.load
            FOR EACH ROW EXECUTE FUNCTION look();
        """
    )
    folder = Folder(settings, engine, sql)
    statuses = [(await folder.load("loans.csv", content)).status for content in (GOOD, GOOD, "x")]

    assert statuses == [LoadStatus.LOADED, LoadStatus.DUPLICATE, LoadStatus.QUARANTINED]
    assert await folder.rows("SELECT status, filed, waits FROM seen ORDER BY n") == [
        ("running", False, "off"),
        ("loaded", False, "on"),
        ("loaded", True, "off"),
        ("duplicate", False, "on"),
        ("duplicate", True, "off"),
        ("running", False, "off"),
        ("quarantined", False, "on"),
        ("quarantined", True, "off"),
    ]
