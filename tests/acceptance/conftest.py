"""What acceptance tests start from: a folder, a ledger, and daemons that end with the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from app.settings import Settings
from tests import brokers, proxy
from tests.acceptance.crash_walk import Side
from tests.acceptance.forked import Commands
from tests.acceptance.front_door import Daemon, Front
from tests.acceptance.streams import StreamProcess
from tests.brokers import Broker, Topic

Watch = Callable[..., Awaitable[Daemon]]
Consume = Callable[..., Awaitable[StreamProcess]]


@pytest.fixture
def front(settings: Settings, sql: asyncpg.Connection) -> Front:
    """The imports folder and the ledger, with no daemon yet."""
    return Front(settings, sql)


@pytest.fixture
async def watch(settings: Settings) -> AsyncIterator[Watch]:
    """Starts daemons, by another command where one is named, and with further settings as keywords.

    What takes rights from a daemon takes that to the server's private socket, too, so such a one
    gets there by a relay. Each has to stop well after the test.
    """
    assert settings.database_url
    started: list[Daemon] = []

    async with proxy.before(settings.database_url) as relay:

        async def start(*before: str, **more: str) -> Daemon:
            relayed = {"DATABASE_URL": relay.url} if before else {}
            daemon = Daemon(settings, *before, **{**relayed, **more})
            started.append(daemon)
            await daemon.start()
            return daemon

        yield start
        for daemon in started:
            await daemon.stop()


@pytest.fixture
async def daemon(watch: Watch) -> Daemon:
    """A daemon that watches the folder."""
    return await watch()


@pytest.fixture(scope="session")
def broker() -> Broker:
    """The mock cluster, or the broker that `KAFKA_BOOTSTRAP_SERVERS` names."""
    return brokers.start()


@pytest.fixture
def topic(broker: Broker) -> Topic:
    """A topic with nothing in it."""
    return Topic(broker)


@pytest.fixture
async def consume(settings: Settings) -> AsyncIterator[Consume]:
    """Starts consumers of a topic, with further settings; each has to stop well after the test."""
    started: list[StreamProcess] = []

    async def start(topic: Topic, **more: str) -> StreamProcess:
        process = StreamProcess(settings, topic, **{"KAFKA_GROUP": topic.name, **more})
        started.append(process)
        await process.start()
        return process

    yield start
    for process in started:
        await process.stop()


@pytest.fixture(scope="session")
def commands() -> Commands:
    """Starts commands at once, one after the other."""
    return Commands()


@pytest.fixture
def side(front: Front, commands: Commands) -> Side:
    """One installation, with such commands."""
    return Side(front, commands)
