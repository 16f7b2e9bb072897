"""The soak's checks pass over what was really loaded, and find each single thing that is wrong."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.settings import Settings
from tests.derived import export, refresh
from tests.loading import Folder
from tests.soak import check_ledger, check_warehouse
from tests.soak.bad_people import BadPeople
from tests.soak.dropping import Drop
from tests.soak.loans_people import LoansPeople
from tests.soak.month_people import MonthPeople
from tests.soak.remains import Remains, look_at
from tests.soak.score_people import ScorePeople
from tests.soak.title_people import TitlePeople
from tests.soak.verdict import Verdict
from tests.soak.written import Written

FILES = 12


def some_files(seed: int) -> list[Written]:
    """Files as the soak's people make them."""
    draw = random.Random(seed)
    month = MonthPeople(draw, datetime(2023, 1, 1), rows=200)  # noqa: DTZ001 - the feed has no zone
    makers = (
        LoansPeople(draw).next,
        month.next,
        TitlePeople(draw).next,
        ScorePeople(draw).next,
        BadPeople(draw).next,
    )
    return [
        make(100_000 * n + count)
        for count in range(FILES)
        for n, make in enumerate(makers, start=1)
    ]


@pytest.fixture
async def remains(
    settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection, tmp_path: Path
) -> Remains:
    """Files loaded one by one, refreshed and exported."""
    folder, drops = Folder(settings, engine, sql), []
    copies = tmp_path / "copies"
    copies.mkdir()
    for number, written in enumerate(some_files(seed=7)):
        feed, _, name = written.name.rpartition("/")
        await folder.load(name, written.body, feed or None)
        kept = copies / str(number)
        kept.write_bytes(written.body)
        sha256 = hashlib.sha256(written.body).hexdigest()
        drops.append(Drop(written.name, written.lane, "", sha256, kept, at=0.0))
    await refresh(engine, settings)
    await export(engine, settings)
    return look_at(sql, settings.imports_dir.parent, drops)


async def broken_lines(remains: Remains) -> list[str]:
    verdict = Verdict()
    loads = await check_ledger.judge(remains, verdict)
    await check_warehouse.judge(remains, loads, verdict)
    return [line.what for line in verdict.lines if line.faults]


async def test_what_was_really_loaded_is_found_right(remains: Remains) -> None:
    assert await broken_lines(remains) == []


DAMAGES_OF_TABLES = {
    "UPDATE warehouse.entity SET value = value + 1 WHERE load_id = {load}": "warehouse.entity",
    "DELETE FROM warehouse.entity WHERE load_id = {load}": "warehouse.entity",
    "UPDATE warehouse.entity_daily SET sum_value = sum_value + 1": "warehouse.entity_daily",
    "UPDATE warehouse.loans SET as_of = as_of - 1": "warehouse.loans",
    "UPDATE warehouse.loans SET liquidations = 0": "warehouse.loans",
    "UPDATE warehouse.default_liquidation_rolling_avg_hist"
    " SET rolling_avg_prev_7d = rolling_avg_prev_7d + 1e-8": "rolling averages",
    "UPDATE warehouse.related_title SET related_title = 'x'": "warehouse.job_title, related_title",
    "DELETE FROM warehouse.risk_score_feature": "warehouse.risk_score, ma50",
    "UPDATE warehouse.risk_score_feature SET ma50 = ma50 + 0.000001": "warehouse.risk_score, ma50",
    "UPDATE ops.load SET rows_read = rows_read + 1, rows_rejected = rows_rejected + 1"
    " WHERE load_id = {load}": "rows read",
    "UPDATE ops.load SET finished_at = '2020-01-01' WHERE load_id = {load}": "loads",
    "UPDATE ops.load SET filed_at = NULL WHERE load_id = {load}": "loads",
    "UPDATE ops.load SET file_name = 'another' WHERE load_id = {load}": "loads",
    "UPDATE ops.load SET filed_path = '/' WHERE load_id = {load}": ".archive",
    "CREATE TABLE staging.entity_99 (n int)": "staging",
}


async def test_each_damage_of_a_table_is_found(remains: Remains) -> None:
    latest = await remains.sql.fetchval(
        "SELECT max(load_id) FROM ops.load WHERE pipeline = 'entity' AND status = 'loaded'"
    )
    found = {}
    for damage in DAMAGES_OF_TABLES:
        transaction = remains.sql.transaction()
        await transaction.start()
        await remains.sql.execute(damage.format(load=latest))
        found[damage] = await broken_lines(remains)
        await transaction.rollback()
    assert [damage for damage, line in DAMAGES_OF_TABLES.items() if line not in found[damage]] == []
    assert await broken_lines(remains) == []


YEAR = "exports/year=2023/entity_stats_yearly_2023.csv"
DAMAGES_OF_FOLDERS: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: archived(folder).unlink(), ".archive"),
    (lambda folder: archived(folder).write_bytes(b"x"), ".archive"),
    (lambda folder: archived(folder).with_name("9_copy.csv").touch(), ".archive"),
    (lambda folder: next((folder / "imports/.quarantine").glob("*.json")).unlink(), ".quarantine"),
    (lambda folder: (folder / "imports/late.csv").touch(), "files left in imports/"),
    (lambda folder: (folder / "imports/.part").touch(), "files left in imports/"),
    (lambda folder: (folder / "tmp/spool").touch(), "spool files left"),
    (lambda folder: (folder / YEAR).with_name("more.csv").touch(), "exports, byte for byte"),
    (lambda folder: (folder / YEAR).unlink(), "exports, byte for byte"),
    (lambda folder: (folder / YEAR).write_bytes(b"year"), "exports, byte for byte"),
]


def archived(folder: Path) -> Path:
    """Some file that was loaded."""
    return next((folder / "imports" / ".archive").rglob("*entity*"))


async def test_each_damage_of_a_folder_is_found(remains: Remains, tmp_path: Path) -> None:
    (remains.folder / "tmp").mkdir()
    sound = tmp_path / "sound"
    shutil.copytree(remains.folder, sound, ignore=shutil.ignore_patterns("sound"))
    found = []
    for damage, _ in DAMAGES_OF_FOLDERS:
        damage(remains.folder)
        found.append(await broken_lines(remains))
        for name in ("imports", "exports", "tmp"):
            shutil.rmtree(remains.folder / name)
            shutil.copytree(sound / name, remains.folder / name)
    assert [
        line
        for (_, line), lines in zip(DAMAGES_OF_FOLDERS, found, strict=True)
        if line not in lines
    ] == []
    assert await broken_lines(remains) == []
