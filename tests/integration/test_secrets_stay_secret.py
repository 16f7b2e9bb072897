"""A password goes into every kind of trouble with a database, and comes out of none of them.

Looked at are messages, whole traces with all causes, and every line of any log, at DEBUG.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from app.errors import SluiceError
from app.settings import Settings, load_settings
from app.sources.database import open_snapshot
from app.store import migrate
from app.store.connection import connected
from app.store.engine import connected_engine, driver_errors

CANARY = "kanarienvogel"
Way = Callable[[str, Settings], Awaitable[None]]

ASKS_FOR_A_PASSWORD = b"R\0\0\0\x08\0\0\0\x03"
REFUSES_IT = b'SFATAL\0C28P01\0Mpassword authentication failed for user "me"\0\0'
WRONG_PASSWORD = b"E" + (len(REFUSES_IT) + 4).to_bytes(4) + REFUSES_IT


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that does not take the password."""
    await reader.read(1000)
    writer.write(ASKS_FOR_A_PASSWORD)
    await reader.read(1000)
    writer.write(WRONG_PASSWORD)
    await writer.drain()
    writer.close()


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that is none of PostgreSQL's."""
    await reader.read(1000)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that goes at once."""
    writer.close()


@pytest.fixture(params=[refuse, babble, hang_up])
async def odd_server(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Address of a server that no session comes about with."""
    server = await asyncio.start_server(request.param, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield f"postgresql://me:{CANARY}@127.0.0.1:{port}/lake?ssl=disable"
    server.close()
    await server.wait_closed()


async def by_driver(address: str, settings: Settings) -> None:
    with driver_errors():
        async with connected(address, settings) as connection:
            await connection.execute("SELECT 1")


async def by_engine(address: str, settings: Settings) -> None:
    with driver_errors():
        async with connected_engine(address, settings) as engine, engine.connect() as connection:
            await connection.execute(text("SELECT 1"))


async def by_pull(address: str, settings: Settings) -> None:
    async with open_snapshot(address, settings):
        pass


async def by_migration(address: str, settings: Settings) -> None:
    with driver_errors():
        await asyncio.to_thread(migrate.upgrade, settings, address)


WAYS = [by_driver, by_engine, by_pull, by_migration]
TROUBLE = [
    "127.0.0.1:1/lake",
    "no-such-host.invalid/lake",
    "/lake?host=/no/such/folder",
    "127.0.0.1:1/lake?ssl=verify-full",
]


async def said_of(way: Way, address: str, caplog: pytest.LogCaptureFixture) -> tuple[str, str]:
    """The error's message, and all that is said anywhere."""
    settings = Settings(database_url=address, echo_sql=True, debug_logs=True)
    with caplog.at_level(logging.DEBUG):
        try:
            await way(address, settings)
        except SluiceError as error:
            return str(error), "".join(traceback.format_exception(error)) + repr(
                error
            ) + caplog.text
    raise AssertionError("a session came about")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rest", TROUBLE)
async def test_servers_that_are_not_there_are_told_of_without_the_password(
    way: Way, rest: str, caplog: pytest.LogCaptureFixture
) -> None:
    message, everything = await said_of(way, f"postgresql://me:{CANARY}@{rest}", caplog)

    assert message
    assert CANARY not in everything


@pytest.mark.parametrize("way", WAYS)
async def test_servers_that_refuse_are_told_of_without_the_password(
    way: Way, odd_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    message, everything = await said_of(way, odd_server, caplog)

    assert message
    assert CANARY not in everything


async def test_passwords_are_given_to_roles_without_being_logged_or_sent(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    assert settings.database_url
    address = make_url(settings.database_url).set(password=CANARY)
    given = settings.model_copy(
        update={
            "database_url": address.render_as_string(hide_password=False),
            "sluice_app_password": CANARY,
            "echo_sql": True,
        }
    )
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("sqlalchemy.engine").setLevel(logging.DEBUG)
        try:
            await by_migration(address.render_as_string(hide_password=False), given)
        finally:
            logging.getLogger("sqlalchemy.engine").setLevel(logging.NOTSET)

    assert "ALTER ROLE %I PASSWORD %L" in caplog.text
    assert CANARY not in caplog.text
    assert "SCRAM-SHA-256" not in caplog.text


WRONG = [
    f"mysql://me:{CANARY}@localhost/lake",
    f"postgresql://me:{CANARY}@localhost:port/lake",
    f"postgresql://me:x@{CANARY}@localhost/lake",
    f"postgresql://me@localhost/lake?password={CANARY}",
    f"postgresql://me@localhost/lake?sslmode={CANARY}",
    f"me:{CANARY}",
]


@pytest.mark.parametrize("name", ["DATABASE_URL", "OWNER_DATABASE_URL", "SOURCE_DATABASE_URL"])
@pytest.mark.parametrize("address", WRONG)
@pytest.mark.parametrize("in_file", [False, True], ids=["given", "in a file"])
def test_addresses_that_are_none_are_refused_without_being_shown(
    name: str, address: str, in_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql:///lake")
    if in_file:
        (tmp_path / "secret").write_text(address)
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))
    else:
        monkeypatch.setenv(name, address)
    monkeypatch.setenv("WORKERS", "many")

    with pytest.raises(SluiceError) as caught:
        load_settings()

    everything = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert f"{name}: " in str(caught.value)
    assert CANARY not in everything
