"""The ledger knows which feed's folder a file was dropped into."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from structlog.testing import capture_logs

from app.domain import Arrival, Load, LoadStatus
from app.loader import Order, Tools
from app.pipelines import all_pipelines
from app.replay import replay
from app.settings import Settings
from app.store import direct, ledger
from app.store.ledger import Content
from app.store.scripts import Scripts, schema_names
from tests.loading import Folder

GOOD = "repayment_date,loans,defaults,liquidations\n2022-01-01,3,1,1\n"
BAD = "repayment_date,loans,defaults\n2022-01-01,3,1\n"
CONTENT = Content(None, None, "ab")
AT_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


@pytest.fixture
def tools(settings: Settings, engine: AsyncEngine) -> Tools:
    return Tools(engine, Scripts(schema_names(settings)), settings, all_pipelines())


@pytest.fixture
def arrival(settings: Settings) -> Arrival:
    return Arrival(settings.imports_dir / "data.csv", "data.csv", "loans", 4, AT_NOON)


def mend(refused: Load) -> None:
    assert refused.filed_path
    Path(refused.filed_path).write_text(GOOD)


async def test_a_refused_file_of_a_feeds_folder_is_replayed_as_one_of_that_feed(
    folder: Folder, tools: Tools
) -> None:
    refused = await folder.load("data.csv", BAD, "loans")
    assert (refused.status, refused.pipeline) == (LoadStatus.QUARANTINED, None)
    mend(refused)

    again = await replay(refused.load_id, tools, Order())

    assert (again.status, again.pipeline) == (LoadStatus.LOADED, "loans")
    assert await folder.rows("SELECT file_name, folder, load_id, loads FROM ops.file_status") == [
        ("data.csv", "loans", again.load_id, 2)
    ]


async def test_a_replayed_file_from_the_top_of_the_folder_keeps_its_line(
    folder: Folder, tools: Tools
) -> None:
    first = await folder.load("loans.csv", GOOD)

    again = await replay(first.load_id, tools, Order())

    assert await folder.rows("SELECT folder, load_id, loads FROM ops.file_status") == [
        (None, again.load_id, 2)
    ]


async def test_a_broken_off_load_is_taken_up_by_the_file_of_its_own_folder_only(
    engine: AsyncEngine, arrival: Arrival
) -> None:
    async def claim(connection: AsyncConnection, arrival: Arrival) -> tuple[int, int]:
        earlier = await ledger.find_earlier(connection, arrival, CONTENT)
        return await ledger.claim(connection, arrival, CONTENT, earlier)

    async with direct.connect(engine) as connection:
        first = await claim(connection, arrival)
        for other in (None, "job_titles"):
            elsewhere = await claim(connection, replace(arrival, folder=other))
            assert elsewhere[0] != first[0]
        assert await claim(connection, arrival) == (first[0], 2)
        unsettled = await ledger.find_unsettled(connection)

    assert [each.folder for each in unsettled] == ["loans", None, "job_titles"]


async def test_an_unfiled_load_is_found_for_the_file_of_its_own_folder_only(
    folder: Folder, engine: AsyncEngine, arrival: Arrival
) -> None:
    load_id = await folder.sql.fetchval(
        "INSERT INTO ops.load (file_name, folder, file_bytes, sha256, discovered_at, started_at,"
        " status) VALUES ('data.csv', 'loans', 4, 'ab', now(), now(), 'failed') RETURNING load_id"
    )
    async with direct.connect(engine) as connection:
        found = await ledger.find_earlier(connection, arrival, CONTENT)
        at_the_top = await ledger.find_earlier(connection, replace(arrival, folder=None), CONTENT)

    assert (found.unfiled, at_the_top.unfiled) == (load_id, None)


async def test_the_log_says_that_a_load_is_begun_again(folder: Folder) -> None:
    with capture_logs() as logs:
        await folder.load("loans.csv", GOOD)
        await folder.sql.execute(
            "UPDATE ops.load SET status = 'running', filed_at = NULL, finished_at = NULL"
        )
        await folder.load("loans.csv", GOOD)

    started = [log.get("attempt") for log in logs if log["event"] == "load started"]
    assert started == [None, 2]
