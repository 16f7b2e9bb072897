"""What is under way at the stop has some time to end, and is given up then."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app import deriving, grace
from app.errors import ConfigError
from app.loader import Tools
from app.pipelines import all_pipelines
from app.session import bare_errors
from app.settings import Settings
from app.store import direct
from app.store.engine import connected_engine
from app.store.scripts import Scripts, schema_names
from tests import proxy
from tests.acceptance.front_door import until
from tests.proxy import Trap, Way

LIMIT_SECONDS = 30
SLEEPS = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'"


@pytest.fixture
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives up a moment after the stop."""
    monkeypatch.setattr(grace, "GRACE_SECONDS", 0.1)


@pytest.mark.usefixtures("little_grace")
async def test_a_refresh_whose_database_is_silent_does_not_keep_the_service_from_ending(
    settings: Settings,
) -> None:
    assert settings.database_url
    stop, silence = asyncio.Event(), Trap(Way.REQUEST, sign=b"BEGIN", hushes=True)
    with capture_logs() as logs:
        async with (
            asyncio.timeout(LIMIT_SECONDS),
            proxy.before(settings.database_url) as relay,
            connected_engine(relay.url, settings) as engine,
        ):
            relay.lay(silence)
            tools = Tools(engine, Scripts(schema_names(settings)), settings, all_pipelines())
            running = asyncio.create_task(deriving.keep_derived(tools, stop, 0.01))
            await silence.sprung.wait()
            stop.set()
            await running

    assert [each["event"] for each in logs if each["log_level"] == "warning"] == [
        "refresh or export given up"
    ]


@pytest.mark.usefixtures("little_grace")
async def test_what_is_given_up_is_rolled_back_and_costs_no_other_connection(
    engine: AsyncEngine, sql: asyncpg.Connection
) -> None:
    stop = asyncio.Event()

    async def sleep() -> None:
        async with direct.connect(engine) as connection, direct.transaction(connection):
            await connection.exec_driver_sql("SELECT pg_sleep(600)")

    async with asyncio.timeout(LIMIT_SECONDS), direct.connect(engine) as other:
        running = asyncio.create_task(grace.in_time(sleep(), stop, engine, "given up"))
        await until(lambda: sql.fetchval(SLEEPS), "the statement under way")
        stop.set()
        await running

        assert not await sql.fetchval(SLEEPS)
        await other.exec_driver_sql("SELECT 1")


async def test_what_ends_by_itself_is_waited_for_and_its_trouble_is_raised(
    engine: AsyncEngine,
) -> None:
    stop = asyncio.Event()

    async def refuse() -> None:
        await stop.wait()
        raise ConfigError("no")

    running = asyncio.create_task(grace.in_time(refuse(), stop, engine, "given up"))
    stop.set()
    with capture_logs() as logs, pytest.raises(ConfigError, match="no"), bare_errors():
        await running
    assert logs == []
