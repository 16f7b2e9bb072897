"""What the service outlives: trouble with the derived tables, the exports and single loads."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app import deriving, service
from app.errors import ConfigError
from app.loader import Tools
from app.pipelines import all_pipelines
from app.session import bare_errors
from app.settings import Settings
from app.store.scripts import Scripts, schema_names
from tests.acceptance.front_door import until
from tests.loading import Folder

LIMIT_SECONDS = 30
LOANS = "repayment_date,loans,defaults,liquidations\n2020-01-01,3,2,1\n"

Logs = list[MutableMapping[str, Any]]


@pytest.fixture
def tools(engine: AsyncEngine, settings: Settings) -> Tools:
    """The tools of a service, with the test's own database."""
    return Tools(engine, Scripts(schema_names(settings)), settings, all_pipelines())


async def logged(logs: Logs, phrase: str) -> MutableMapping[str, Any]:
    """The first line with that phrase, waited for."""

    async def lines() -> Logs:
        return [each for each in logs if each["event"] == phrase]

    return (await until(lines, phrase))[0]


async def test_a_bug_in_the_refresh_is_logged_and_the_next_time_is_tried(
    tools: Tools, sql: asyncpg.Connection
) -> None:
    await Folder(tools.settings, tools.engine, sql).load("loans.csv", LOANS)
    await sql.execute(
        """
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no'; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON ops.refresh
            FOR EACH STATEMENT EXECUTE FUNCTION fail();
        """
    )
    stop = asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(deriving.keep_derived(tools, stop, 0.01))
        trouble = await logged(logs, "refresh or export has to wait")
        await sql.execute("DROP TRIGGER fail ON ops.refresh")
        await until(lambda: sql.fetchval("SELECT count(*) FROM ops.refresh"), "a refresh")
        stop.set()
        await asyncio.wait_for(running, LIMIT_SECONDS)
    assert trouble["log_level"] == "error"
    assert trouble["exc_info"]


async def test_a_refresh_that_waits_for_long_says_so_once(
    tools: Tools, sql: asyncpg.Connection
) -> None:
    await Folder(tools.settings, tools.engine, sql).load("loans.csv", LOANS)
    await sql.execute(
        """
        CREATE SEQUENCE tries;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM nextval('tries');
            RAISE EXCEPTION 'no writes' USING ERRCODE = 'read_only_sql_transaction';
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON ops.refresh
            FOR EACH STATEMENT EXECUTE FUNCTION refuse();
        """
    )
    stop = asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(deriving.keep_derived(tools, stop, 0.01))
        await until(lambda: sql.fetchval("SELECT last_value >= 4 FROM tries"), "four tries")
        await sql.execute("DROP TRIGGER refuse ON ops.refresh")
        await logged(logs, "works again")
        stop.set()
        await asyncio.wait_for(running, LIMIT_SECONDS)

    said = [each["reason"] for each in logs if each["event"] == "refresh or export has to wait"]
    assert said == ["The database is read-only now, as a standby is: no writes"]


async def test_an_error_comes_out_of_task_groups_as_it_was_raised() -> None:
    async def refuse() -> None:
        raise ConfigError("no") from OSError("why")

    async def refuse_deeper() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(refuse())

    with pytest.raises(ConfigError, match="no") as raised, bare_errors():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(refuse_deeper())

    assert isinstance(raised.value.__cause__, OSError)


async def test_several_errors_at_once_are_all_told() -> None:
    with pytest.raises(ExceptionGroup) as raised, bare_errors():
        raise ExceptionGroup("both", [ValueError("one"), ValueError("two")])

    assert [str(each) for each in raised.value.exceptions] == ["one", "two"]


@pytest.mark.parametrize("steps", range(8))
async def test_book_keeping_ends_however_soon_after_an_outage_it_is_told_to(
    steps: int, tools: Tools
) -> None:
    kept = service.Service(tools, asyncio.Event())
    keeping = asyncio.create_task(kept._keep_books())
    await asyncio.sleep(0)
    kept._outage_over.set()
    for _ in range(steps):
        await asyncio.sleep(0)

    keeping.cancel()

    ended, _ = await asyncio.wait({keeping}, timeout=LIMIT_SECONDS)
    assert ended
    assert keeping.cancelled()
