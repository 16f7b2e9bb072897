"""The note of where a file was moved to may be lost with a server that crashes, at no harm."""

from __future__ import annotations

import asyncio
from datetime import date

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app import service
from app.loader import Tools
from app.pipelines import all_pipelines
from app.service import Service
from app.settings import Settings
from app.store.scripts import Scripts, schema_names
from tests.acceptance.front_door import until
from tests.loading import Folder

OLD = "repayment_date,loans,defaults,liquidations\n2022-01-01,3,1,1\n"
NEW = "repayment_date,loans,defaults,liquidations\n2022-01-01,4,2,2\n"
PATHS = "SELECT load_id, filed_path FROM ops.load ORDER BY load_id"
LOANS = "SELECT repayment_date, loans, defaults, liquidations FROM warehouse.loans"


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


async def are_filed(folder: Folder, count: int) -> bool:
    return await folder.rows("SELECT count(filed_at), count(filed_path) FROM ops.load") == [
        (count, count)
    ]


async def lose_notes(folder: Folder) -> None:
    await folder.sql.execute("UPDATE ops.load SET filed_at = NULL, filed_path = NULL")


async def test_an_older_content_dropped_again_is_loaded_although_its_note_was_lost(
    folder: Folder,
) -> None:
    await folder.load("loans.csv", OLD)
    await lose_notes(folder)
    await folder.load("loans.csv", NEW)

    again = await folder.load("loans.csv", OLD)

    assert (again.status, again.counts.updated) == ("loaded", 1)
    assert await folder.rows(LOANS) == [(date(2022, 1, 1), 3, 1, 1)]
    assert await folder.rows("SELECT count(*) FROM ops.load WHERE status = 'loaded'") == [(3,)]


async def test_a_lost_note_is_written_again_while_the_service_runs(
    folder: Folder, settings: Settings, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await folder.load("loans.csv", OLD)
    monkeypatch.setattr(service, "BOOKS_SECONDS", 0.05)
    tools = Tools(engine, Scripts(schema_names(settings)), settings, all_pipelines())
    stop = asyncio.Event()
    running = asyncio.create_task(Service(tools, stop).run())
    try:
        (settings.imports_dir / "loans.csv").write_text(NEW)
        await until(lambda: are_filed(folder, 2), "a service past its start, which does it, too")
        before = await folder.rows(PATHS)
        await lose_notes(folder)
        await until(lambda: are_filed(folder, 2), "the notes written again")
        assert await folder.rows(PATHS) == before
    finally:
        stop.set()
        await running
