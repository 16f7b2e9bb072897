"""What the two roles may not do, asked of PostgreSQL itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.settings import Settings
from app.store import roles
from tests.logins import member_of

EVERYTHING = """
    SELECT relnamespace::regnamespace::text || '.' || relname FROM pg_class
    WHERE relnamespace::regnamespace::text IN ('ops', 'warehouse') AND relkind IN ('r', 'p', 'v')
"""
MONTH = "CALL ops.stage_entity(1, '2023-01-01'); CALL ops.promote_entity(1, '2023-01-01')"
# A table of the owner's that came after the roles.
LATER = "CREATE TABLE warehouse.visits (day date)"

OF_NEITHER = [
    "CREATE TABLE ops.mine (n int)",
    "CREATE TABLE staging.mine (n int)",
    "CREATE TABLE warehouse.mine (n int)",
    "CREATE TABLE public.mine (n int)",
    "CREATE SCHEMA mine",
    "CREATE VIEW warehouse.mine AS SELECT 1 AS n",
    "CREATE FUNCTION warehouse.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "DROP TABLE warehouse.loans",
    "DROP TABLE warehouse.entity",
    "DROP TABLE warehouse.entity_2023_01",
    "DROP VIEW ops.file_status",
    "DROP SCHEMA staging CASCADE",
    "ALTER TABLE warehouse.loans ADD COLUMN mine int",
    "ALTER TABLE warehouse.entity DETACH PARTITION warehouse.entity_2023_01",
    "ALTER TABLE warehouse.loans OWNER TO current_user",
    "TRUNCATE warehouse.loans",
    "TRUNCATE ops.load",
    "CREATE RULE mine AS ON DELETE TO ops.load DO INSTEAD NOTHING",
    "ALTER PROCEDURE ops.promote_entity(bigint, date) SECURITY INVOKER",
    "UPDATE ops.alembic_version SET version_num = '0001'",
    "UPDATE ops.view_definition SET sha256 = 'mine'",
    "CREATE ROLE mine",
    "ALTER ROLE sluice_app SUPERUSER",
    "ALTER ROLE sluice_reader PASSWORD 'mine'",
    "GRANT sluice_app TO sluice_reader",
    "GRANT pg_read_all_stats TO current_user",
    "COPY warehouse.loans TO '/tmp/mine'",
    "COPY warehouse.loans FROM '/etc/passwd'",
    "COPY warehouse.loans TO PROGRAM 'cat'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT * FROM pg_authid",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user",
]
# These work outside of transactions only.
OF_NOBODY = ["CREATE DATABASE mine", "ALTER SYSTEM SET log_statement = 'all'"]
NOT_OF_READERS = [
    "INSERT INTO warehouse.entity_daily VALUES ('2023-01-01', 1, 1, 1, 1, now())",
    "UPDATE warehouse.loans SET loans = 0",
    "DELETE FROM warehouse.entity_2023_01",
    "UPDATE ops.load SET status = 'failed'",
    "DELETE FROM ops.reject",
    "INSERT INTO warehouse.visits VALUES ('2023-01-01')",
    "SELECT * FROM staging.loans",
    "SELECT * FROM staging.entity_2",
    "SELECT * FROM warehouse.loans FOR UPDATE",
    "LOCK TABLE warehouse.loans IN ACCESS EXCLUSIVE MODE",
    "CALL ops.stage_entity(1, '2023-01-01')",
    "CALL ops.withdraw_entity('2023-01-01')",
    "SELECT ops.has_old_snapshots()",
]


@pytest.fixture
async def app(settings: Settings, sql: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """A session with the rights of the service."""
    async for session in session_of(roles.APP, settings, sql):
        yield session


@pytest.fixture
async def reader(settings: Settings, sql: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """A session with the rights of a reader."""
    async for session in session_of(roles.READER, settings, sql):
        yield session


async def session_of(
    role: str, settings: Settings, sql: asyncpg.Connection
) -> AsyncIterator[asyncpg.Connection]:
    assert settings.database_url
    await sql.execute(f"{MONTH}; {LATER}; CALL ops.stage_entity(2, '2023-01-01')")
    async with member_of(role, sql, settings.database_url) as url:
        session = await asyncpg.connect(url)
        yield session
        await session.close()


async def refused(session: asyncpg.Connection, statement: str) -> bool:
    """Whether the server refuses the statement for want of rights."""
    started = session.transaction()
    await started.start()
    try:
        await session.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    finally:
        await started.rollback()
    return False


async def allowed(session: asyncpg.Connection, statements: list[str]) -> list[str]:
    return [statement for statement in statements if not await refused(session, statement)]


async def test_the_service_may_neither_change_tables_nor_reach_beyond_the_database(
    app: asyncpg.Connection,
) -> None:
    assert await allowed(app, OF_NEITHER) == []
    for statement in OF_NOBODY:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(statement)


async def test_a_reader_may_read_and_nothing_else(
    reader: asyncpg.Connection, sql: asyncpg.Connection
) -> None:
    names = [row[0] for row in await sql.fetch(EVERYTHING)]
    assert {"ops.load", "ops.file_status", "warehouse.entity_2023_01", "warehouse.visits"} < {
        *names
    }
    for name in names:
        await reader.fetch(f"SELECT * FROM {name}")

    assert await allowed(reader, [*OF_NEITHER, *NOT_OF_READERS]) == []


async def test_a_month_can_be_read_by_whoever_may_read_them_all(
    settings: Settings, sql: asyncpg.Connection
) -> None:
    assert settings.database_url
    async with member_of(roles.READER, sql, settings.database_url) as url:
        analyst = url.split("//")[1].split(":")[0]
        await sql.execute(f"GRANT SELECT ON warehouse.entity TO PUBLIC, {analyst}")
        await sql.execute(MONTH)
        rights = await sql.fetchval(
            "SELECT relacl::text FROM pg_class WHERE relname = 'entity_2023_01'"
        )
        await sql.execute(f"DROP OWNED BY {analyst}")

    for right in ("=r/", "sluice_reader=r/", f"{analyst}=r/", "sluice_app=arwd/"):
        assert right in rights


@pytest.mark.parametrize("month", ["'2023-01-02'", "'infinity'", "NULL"])
async def test_a_procedure_takes_months_only(month: str, app: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.RaiseError, match="is not the first day of a month"):
        await app.execute(f"CALL ops.stage_entity(9, {month})")


async def test_procedures_are_not_led_astray_by_objects_of_the_one_who_calls(
    app: asyncpg.Connection, sql: asyncpg.Connection
) -> None:
    # The nearest thing to a schema of its own: what stands there would come first in most paths.
    await app.execute(
        "CREATE TEMPORARY TABLE pg_class (oid oid, relacl aclitem[], relowner oid);"
        " CREATE TEMPORARY TABLE entity_3 (created_at timestamp);"
        " SET search_path = pg_temp, pg_catalog"
    )
    await app.execute(
        "CALL ops.stage_entity(3, '2023-03-01'); CALL ops.promote_entity(3, '2023-03-01')"
    )

    assert (
        await sql.fetchval(
            "SELECT inhparent::regclass::text FROM pg_inherits"
            " WHERE inhrelid = 'warehouse.entity_2023_03'::regclass"
        )
        == "warehouse.entity"
    )


async def test_readers_have_a_time_limit_and_begin_read_only(sql: asyncpg.Connection) -> None:
    found = await sql.fetchval("SELECT rolconfig FROM pg_roles WHERE rolname = 'sluice_reader'")

    assert set(found) == {
        "statement_timeout=2min",
        "idle_in_transaction_session_timeout=10min",
        "default_transaction_read_only=on",
    }
