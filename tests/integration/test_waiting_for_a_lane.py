"""A file whose lane another service loads into waits for its turn, and says so."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app import turns
from app.domain import LoadStatus
from app.errors import RetryableError
from app.settings import Settings
from app.store import direct, lane_locks
from tests.loading import Folder

LIMIT_SECONDS = 30
CONTENT = "repayment_date,loans,defaults,liquidations\n2022-01-01,3,1,1\n"


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


@pytest.fixture
async def lane_is_taken(sql: asyncpg.Connection) -> None:
    await sql.execute("SELECT pg_advisory_lock($1)", lane_locks.lock_key("loans/"))


def taken_by(holder: asyncpg.Connection) -> str:
    """What is said of a lane that this connection holds."""
    pid = holder.get_server_pid()
    return (
        "Another service loads into loans/, or the server has not noticed yet that a connection of"
        f" this one was lost, which it does after some minutes. Backend {pid} holds loans/;"
        f" `SELECT pg_terminate_backend({pid})` ends it, and its load is done again"
    )


@pytest.mark.usefixtures("lane_is_taken")
async def test_a_load_waits_for_its_lane_and_says_so_once(folder: Folder) -> None:
    waiting = {"event": "waiting", "reason": taken_by(folder.sql), "log_level": "info"}
    with capture_logs() as logs:
        async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as tasks:
            loading = tasks.create_task(folder.load_unchecked("loans.csv", CONTENT))
            while waiting not in logs:
                await folder.sql.fetchval("SELECT 1")
            assert await folder.rows("SELECT * FROM ops.load") == []
            await folder.sql.execute("SELECT pg_advisory_unlock_all()")

    assert loading.result().status is LoadStatus.LOADED
    assert logs.count(waiting) == 1


@pytest.mark.usefixtures("lane_is_taken")
async def test_a_lane_is_wanted_while_a_load_waits_for_it_and_no_longer(
    folder: Folder, engine: AsyncEngine
) -> None:
    async with direct.connect(engine) as connection:

        async def is_wanted(lane: str = "loans/") -> bool:
            return await lane_locks.is_wanted(connection, lane)

        assert not await is_wanted()
        async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(folder.load_unchecked("loans.csv", CONTENT))
            while not await is_wanted():
                await folder.sql.fetchval("SELECT 1")
            assert not await is_wanted("job_titles/")
            await folder.sql.execute("SELECT pg_advisory_unlock_all()")
        assert not await is_wanted()


@pytest.mark.usefixtures("lane_is_taken")
async def test_a_load_that_waited_very_long_has_to_be_tried_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LONGEST_LANE_WAIT_SECONDS", 0.0)

    with pytest.raises(RetryableError) as raised:
        await folder.load_unchecked("loans.csv", CONTENT)

    minutes = "it has kept others waiting for minutes"
    assert str(raised.value) == f"{taken_by(folder.sql)}; {minutes}"

    assert (folder.settings.imports_dir / "loans.csv").read_text() == CONTENT
    assert await folder.rows("SELECT * FROM ops.load") == []
