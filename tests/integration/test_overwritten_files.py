"""Files that are overwritten between the moment they were handed over and their load."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import Arrival, LoadStatus
from app.loader import Tools, load_file
from app.pipelines import all_pipelines
from app.settings import Settings
from app.store.scripts import Scripts, schema_names

SHORT = b"repayment_date,loans,defaults,liquidations\n2022-01-01,3,1,1\n"
LONG = SHORT + b"2022-01-02,3,1,1\n"


@pytest.fixture
def tools(settings: Settings, engine: AsyncEngine) -> Tools:
    return Tools(engine, Scripts(schema_names(settings)), settings, all_pipelines())


def arrival_of(path: Path) -> Arrival:
    return Arrival(path, path.name, None, path.stat().st_size, datetime.now(UTC))


async def test_the_ledger_has_the_size_of_what_was_loaded(
    tools: Tools, sql: asyncpg.Connection
) -> None:
    path = tools.settings.imports_dir / "loans.csv"
    path.write_bytes(SHORT)
    arrival = arrival_of(path)
    path.write_bytes(LONG)

    load = await load_file(arrival, tools)

    assert (load.status, load.counts.read) == (LoadStatus.LOADED, 2)
    assert await sql.fetchval("SELECT file_bytes FROM ops.load") == len(LONG)
