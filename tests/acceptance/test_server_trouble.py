"""The database server restarts, runs full, or takes no writes: the service waits and goes on.

On a server of the tests' own, as all of its databases suffer with it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

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
from tests.acceptance.front_door import Daemon, Front
from tests.conftest import database_at, execute
from tests.servers import FAST, IMMEDIATE, Server

Looking = Callable[[], Awaitable[Front]]

TEMPLATE = "template_of_sluice"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server for these tests alone."""
    with servers.made() as server:
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


def said(daemon: Daemon) -> list[str]:
    """All that its log says of waiting; nobody has to look at anything else."""
    assert not [event for event in daemon.events if event["level"] == "error"]
    return [event["reason"] for event in daemon.events_named("waiting")]


@pytest.fixture
async def looking(settings: Settings) -> AsyncIterator[Callable[[], Awaitable[Front]]]:
    """Looks at the ledger by a new connection, where the old one ended with the server."""
    opened: list[asyncpg.Connection] = []

    async def look() -> Front:
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
        files[f"{number}_entity_2023-01.csv"] = entity_csv(some_values(20_000, number))
        files[f"loans_{number}.csv"] = loans_csv(some_loans(300, number))
        for name in list(files)[-2:]:
            front.drop(name, files[name])
        await daemon.wait_for("load started", count=number + 1)
        if number % 2:
            server.stop(how)
            server.start()

    front = await looking()
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
