"""What acceptance tests start from: a folder, a ledger, and daemons that end with the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from app.settings import Settings
from tests.acceptance.front_door import Daemon, Front

Watch = Callable[..., Awaitable[Daemon]]


@pytest.fixture
def front(settings: Settings, sql: asyncpg.Connection) -> Front:
    """The imports folder and the ledger, with no daemon yet."""
    return Front(settings, sql)


@pytest.fixture
async def watch(settings: Settings) -> AsyncIterator[Watch]:
    """Starts daemons, with further settings as keywords; each has to stop well after the test."""
    started: list[Daemon] = []

    async def start(**more: str) -> Daemon:
        daemon = Daemon(settings, **more)
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
