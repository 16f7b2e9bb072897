"""Whose trouble it is: the database's, a disk's, the settings' or a fault of ours."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest
import sqlalchemy.exc
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import Reject
from app.errors import ConfigError, DatabaseUnreachableError, RetryableError
from app.settings import Settings
from app.store import rejects, spool, staging
from app.store.engine import connected_engine, driver_errors, keep_alive
from models.base import OPS


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://nobody@127.0.0.1:1/none",
        "postgresql://nobody@/none?host=/nowhere",
    ],
)
async def test_an_address_where_nobody_answers_is_an_unreachable_database(address: str) -> None:
    async with connected_engine(address, Settings()) as engine:
        with pytest.raises(DatabaseUnreachableError, match="cannot be reached"), driver_errors():
            async with engine.connect():
                pass


async def test_a_server_that_hangs_up_is_an_unreachable_database() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, connected_engine(f"postgresql://me@127.0.0.1:{port}/x", Settings()) as e:
        with pytest.raises(DatabaseUnreachableError, match="cannot be reached"), driver_errors():
            async with e.connect():
                pass


async def test_an_address_the_driver_cannot_read_is_a_wrong_setting() -> None:
    address = "postgresql://me@127.0.0.1:1/none?ssl=perhaps"
    async with connected_engine(address, Settings()) as engine:
        with pytest.raises(ConfigError, match="DATABASE_URL cannot work"), driver_errors():
            async with engine.connect():
                pass


async def test_a_connection_that_was_ended_is_an_unreachable_database(
    engine: AsyncEngine, sql: asyncpg.Connection
) -> None:
    async with engine.connect() as connection:
        pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        await sql.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(DatabaseUnreachableError), driver_errors():
            await connection.execute(text("SELECT 1"))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES])
def test_trouble_with_a_disk_is_not_blamed_on_the_database(code: int) -> None:
    with pytest.raises(RetryableError) as caught, driver_errors():
        raise OSError(code, os.strerror(code), "/somewhere/kept.csv")
    assert str(caught.value) == (
        f"The disk keeps this from working: /somewhere/kept.csv: {os.strerror(code)}."
        " Make room on it, or see to its rights."
    )
    assert not isinstance(caught.value, DatabaseUnreachableError)


async def test_rejects_that_do_not_fit_on_the_disk_wait_for_room_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spool, "MEMORY_BYTES", 1)
    full = Path("/dev/full")
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full.open("r+b"))

    with (
        pytest.raises(RetryableError, match=r"The disk .* No space left on device") as caught,
        driver_errors(),
        rejects.RejectSpool(1) as bad,
    ):
        await bad.add([Reject(1, "loans", "no number", "x")])

    assert not isinstance(caught.value, DatabaseUnreachableError)


def test_what_a_library_calls_oserror_passes_through() -> None:
    with pytest.raises(OSError, match="not a gzipped file"), driver_errors():
        raise OSError("not a gzipped file")


async def test_a_value_that_cannot_be_encoded_is_a_fault_of_ours(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(sqlalchemy.exc.DBAPIError, match="invalid input"), driver_errors():
            await connection.execute(text("SELECT CAST(:n AS integer)"), {"n": "seven"})


async def test_a_statement_that_comes_too_early_is_a_fault_of_ours(
    engine: AsyncEngine, sql: asyncpg.Connection
) -> None:
    await sql.execute("CREATE SEQUENCE numbers")
    async with engine.connect() as connection:
        with pytest.raises(sqlalchemy.exc.DBAPIError, match="not yet defined"), driver_errors():
            await connection.execute(text("SELECT currval('numbers')"))


async def test_a_database_that_takes_no_connections_is_unreachable(
    engine: AsyncEngine, sql: asyncpg.Connection, server_url: str
) -> None:
    name = await sql.fetchval("SELECT current_database()")
    other = await asyncpg.connect(server_url)
    try:
        await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        with pytest.raises(DatabaseUnreachableError, match="not currently"), driver_errors():
            async with engine.connect():
                pass
    finally:
        await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await other.close()


async def test_renamed_schemas_are_a_hint_beside_migrations(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        hint = r"app migrate.* STAGING_SCHEMA and DW_SCHEMA"
        with pytest.raises(ConfigError, match=hint), driver_errors():
            await connection.execute(text("SELECT 1 FROM nowhere.loans"))


async def test_the_server_notices_within_a_minute_that_a_session_is_dead(
    server_url: str, engine: AsyncEngine
) -> None:
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT name, reset_val::int FROM pg_settings WHERE name LIKE 'tcp_keepalives%'")
        )
        found = {row.name: row.reset_val for row in rows}
    seconds = found["tcp_keepalives_idle"] + (
        found["tcp_keepalives_interval"] * found["tcp_keepalives_count"]
    )
    assert all(found.values())
    assert seconds <= 60


async def test_we_notice_within_a_minute_that_the_server_is_gone(engine: AsyncEngine) -> None:
    assert event.contains(engine.sync_engine, "connect", keep_alive)
    with socket.socket() as connected:
        transport = SimpleNamespace(get_extra_info={"socket": connected}.get)
        keep_alive(SimpleNamespace(driver_connection=SimpleNamespace(_transport=transport)), None)

        tcp = socket.IPPROTO_TCP
        idle = connected.getsockopt(tcp, socket.TCP_KEEPIDLE)
        interval = connected.getsockopt(tcp, socket.TCP_KEEPINTVL)
        count = connected.getsockopt(tcp, socket.TCP_KEEPCNT)
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert idle + interval * count <= 60
        assert 0 < connected.getsockopt(tcp, socket.TCP_USER_TIMEOUT) <= 60_000


async def test_no_value_of_a_row_stands_in_an_error(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(sqlalchemy.exc.DBAPIError) as caught:
            await connection.execute(
                text("SELECT 1 / CAST(:n AS integer), :row"), {"n": 0, "row": "4711"}
            )
    assert "4711" not in str(caught.value)


async def test_a_disk_that_fails_while_rows_are_copied_is_not_blamed_on_the_database(
    engine: AsyncEngine,
) -> None:
    async def rows() -> AsyncIterator[bytes]:
        yield await asyncio.to_thread(Path("/proc/self/mem").read_bytes)

    with (
        pytest.raises(RetryableError, match=r"The disk .* Input/output error") as caught,
        driver_errors(),
    ):
        async with engine.begin() as connection:
            await staging.copy_rows(connection, "reject", ("raw",), rows(), schema=OPS)

    assert not isinstance(caught.value, DatabaseUnreachableError)
