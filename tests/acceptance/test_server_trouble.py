"""The database server restarts, runs full, or takes no writes: the service waits and goes on.

On a server of the tests' own, as all of its databases suffer with it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from app.settings import Settings
from app.store import migrate
from tests import servers
from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import (
    entity_csv,
    loans_csv,
    sha256,
    some_loans,
    some_values,
)
from tests.acceptance.front_door import Daemon, Front, until
from tests.conftest import database_at, execute
from tests.servers import FAST, IMMEDIATE, Server

Looking = Callable[[Settings], Awaitable[Front]]

# Few connections for all, and what a standby needs.
OPTIONS = {
    "max_connections": "16",
    "superuser_reserved_connections": "0",
    "wal_level": "replica",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
}
READ_ONLY = (
    "The database is read-only now, as a standby is: cannot execute {} in a read-only transaction"
)
FREE_BYTES = 64 << 20
WAITS_FOR_LOANS = """
SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'warehouse.loans'::regclass
"""
ENDLESS_LOG = """
DO $$ BEGIN LOOP
    PERFORM pg_logical_emit_message(false, 'x', repeat('x', 1000000));
END LOOP; END $$
"""
TEMPLATE = "template_of_sluice"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server for these tests alone."""
    with servers.made(**OPTIONS) as server:
        server.start()
        yield server


@pytest.fixture(scope="module")
def server_url(server: Server) -> str:
    return server.url("postgres")


@pytest.fixture(scope="module")
def template(server_url: str) -> str:
    asyncio.run(execute(server_url, f"CREATE DATABASE {TEMPLATE}"))
    migrate.upgrade(Settings(), database_at(server_url, TEMPLATE))
    return TEMPLATE


async def end_sessions_of_sluice(sql: asyncpg.Connection) -> None:
    ours = "application_name = 'sluice' AND datname = current_database()"
    await sql.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")


async def all_connections(url: str) -> list[asyncpg.Connection]:
    """Takes every connection that the server has left."""
    taken: list[asyncpg.Connection] = []
    with suppress(asyncpg.TooManyConnectionsError):
        while True:
            taken.append(await asyncpg.connect(url))
    return taken


def said(daemon: Daemon) -> list[str]:
    """All that its log says of waiting; nobody has to look at anything else."""
    assert not [event for event in daemon.events if event["level"] == "error"]
    return [event["reason"] for event in daemon.events_named("waiting")]


@pytest.fixture
async def looking() -> AsyncIterator[Looking]:
    """Looks at the ledger by a new connection, where the old one ended with the server."""
    opened: list[asyncpg.Connection] = []

    async def look(settings: Settings) -> Front:
        opened.append(await asyncpg.connect(settings.database_url))
        return Front(settings, opened[-1])

    yield look
    for connection in opened:
        await connection.close()


@pytest.mark.parametrize("how", [FAST, IMMEDIATE], ids=["fast", "immediate"])
async def test_a_server_restarted_under_load_costs_no_file_and_loads_none_twice(
    how: signal.Signals, front: Front, watch: Watch, server: Server, looking: Looking
) -> None:
    daemon = await watch()
    files: dict[str, bytes] = {}
    for number in range(4):
        analyst = (await looking(front.settings)).sql
        await analyst.execute("BEGIN; LOCK TABLE warehouse.loans")
        files[f"{number}_entity_2023-01.csv"] = entity_csv(some_values(20_000, number))
        files[f"loans_{number}.csv"] = loans_csv(some_loans(300, number))
        for name in list(files)[-2:]:
            front.drop(name, files[name])
        await until(partial(analyst.fetchval, WAITS_FOR_LOANS), "a load in the middle of its work")
        if number % 2:
            server.stop(how)
            server.start()
        else:
            await analyst.execute("COMMIT")

    front = await looking(front.settings)
    loads = await front.filed(len(files))

    assert {load["file_name"]: (load["sha256"], load["status"]) for load in loads} == {
        name: (sha256(content), "loaded") for name, content in files.items()
    }
    assert await front.entity() == some_values(20_000, 3)
    assert await front.loans() == some_loans(300, 3)
    assert sorted(front.archived.values()) == sorted(files.values())
    assert (front.waiting, await front.staged_tables()) == ({}, [])
    assert {reason.partition(": ")[0] for reason in said(daemon)} == {
        "The database cannot be reached"
    }
    # One line for each restart and lane at most.
    assert 1 <= len(said(daemon)) <= 4


async def test_a_server_without_a_free_connection_is_waited_for(
    front: Front, daemon: Daemon, server_url: str
) -> None:
    await end_sessions_of_sluice(front.sql)
    hogs = await all_connections(server_url)
    try:
        front.drop("loans.csv", loans_csv(some_loans(20)))
        await daemon.wait_for("waiting")
        code, printed = await front.command("status")
    finally:
        for hog in hogs:
            await hog.close()

    [load] = await front.filed(1)
    assert (load["status"], load["rows_inserted"]) == ("loaded", 20)
    reason = "The database cannot be reached: sorry, too many clients already"
    assert said(daemon) == [reason]
    assert (code, printed.splitlines()[-1]) == (3, f"Error: {reason}")
    assert any(line.startswith("loans.csv") for line in printed.splitlines())


async def test_a_standby_is_waited_for_until_it_is_promoted(
    front: Front, daemon: Daemon, server: Server, looking: Looking
) -> None:
    server.stop()
    (server.files.data / "standby.signal").touch()
    server.start()
    front.drop("loans.csv", loans_csv(some_loans(20)))
    await daemon.wait_for("waiting")
    front = await looking(front.settings)
    assert await front.sql.fetchval("SELECT pg_is_in_recovery()")
    assert (await front.status())["waiting"][0]["name"] == "loans.csv"

    assert await front.sql.fetchval("SELECT pg_promote()")

    [load] = await front.filed(1)
    assert (load["status"], load["rows_inserted"]) == ("loaded", 20)
    assert said(daemon) == [READ_ONLY.format("INSERT")]


@pytest.fixture
def small(server: Server, template: str) -> Iterator[Server]:
    """The same server on a disk with little room; the original is up again after the copy."""
    server.stop()
    try:
        with servers.on_a_small_disk(server, FREE_BYTES) as small:
            server.start()
            small.start(max_wal_size="32MB", wal_level="minimal")
            yield small
            small.stop(IMMEDIATE)
    except PermissionError as refused:
        server.start()
        pytest.skip(str(refused))


@dataclass
class Ballast:
    """A file that takes all the room there is on a disk."""

    path: Path

    def take_all(self) -> None:
        with self.path.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(1 << 12)):
                pass

    def leave(self, room_bytes: int) -> None:
        os.truncate(self.path, self.path.stat().st_size - room_bytes)

    def remove(self) -> None:
        self.path.unlink()


@pytest.fixture
async def narrow(small: Server, settings: Settings) -> AsyncIterator[Front]:
    """The front door of a database on that disk."""
    database_url = small.url("on_a_small_disk")
    await execute(small.url("postgres"), f"CREATE DATABASE on_a_small_disk TEMPLATE {TEMPLATE}")
    sql = await asyncpg.connect(database_url)
    yield Front(settings.model_copy(update={"database_url": database_url}), sql)
    sql.terminate()


@pytest.fixture
def ballast(small: Server) -> Ballast:
    assert small.seen_at
    return Ballast(small.seen_at / "ballast")


async def test_a_full_disk_is_waited_for_until_there_is_room(
    narrow: Front, ballast: Ballast, watch: Watch
) -> None:
    daemon = await watch(DATABASE_URL=narrow.settings.database_url)
    ballast.take_all()
    ballast.leave(1 << 20)
    narrow.drop("entity_2023-01.csv", entity_csv(some_values(60_000)))
    await daemon.wait_for("waiting")
    assert list(narrow.waiting) == ["entity_2023-01.csv"]

    ballast.remove()

    [load] = await narrow.filed(1)
    assert (load["status"], load["rows_inserted"]) == ("loaded", 60_000)
    assert await narrow.entity() == some_values(60_000)
    assert await narrow.staged_tables() == []
    [reason] = said(daemon)
    assert reason.startswith("The database's disk is full: could not ")


async def test_a_server_that_ended_for_want_of_room_is_waited_for(
    narrow: Front, ballast: Ballast, small: Server, watch: Watch, looking: Looking
) -> None:
    daemon = await watch(DATABASE_URL=narrow.settings.database_url)
    ballast.take_all()
    with pytest.raises(asyncpg.PostgresConnectionError):
        await narrow.sql.execute(ENDLESS_LOG)
    narrow.drop("loans.csv", loans_csv(some_loans(20)))
    await daemon.wait_for("waiting")

    ballast.remove()
    small.stop(IMMEDIATE)
    small.start()

    [load] = await (await looking(narrow.settings)).filed(1)
    assert (load["status"], load["rows_inserted"]) == ("loaded", 20)
    [reason] = said(daemon)
    assert reason.startswith("The database cannot be reached: ")
