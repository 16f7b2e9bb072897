"""Kept files that cannot be read do not keep a service from starting."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.loader import Tools
from app.pipelines import all_pipelines
from app.recovery import recover
from app.settings import Settings
from app.store.scripts import Scripts, schema_names
from tests.loading import Folder

LOANS = "repayment_date,loans,defaults,liquidations\n2022-01-01,3,1,1\n"


def set_aside(archived: Path, quarantine_folder: Path) -> Path:
    """Moves a kept file, and leaves in its place what nobody can read as a file."""
    quarantine_folder.mkdir(exist_ok=True)
    elsewhere = archived.rename(quarantine_folder / archived.name)
    archived.mkdir()
    return elsewhere


@pytest.mark.parametrize("kept_elsewhere", [True, False])
async def test_an_unreadable_kept_file_is_passed_over(
    kept_elsewhere: bool, settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection
) -> None:
    load = await Folder(settings, engine, sql).load("loans.csv", LOANS)
    assert load.filed_path
    elsewhere = set_aside(Path(load.filed_path), settings.quarantine_folder)
    if not kept_elsewhere:
        elsewhere.unlink()
    await sql.execute("UPDATE ops.load SET filed_at = NULL, filed_path = NULL")

    await recover(Tools(engine, Scripts(schema_names(settings)), settings, all_pipelines()))

    found = await sql.fetchrow("SELECT filed_at IS NOT NULL, filed_path FROM ops.load")
    assert found
    assert tuple(found) == (True, str(elsewhere) if kept_elsewhere else None)
