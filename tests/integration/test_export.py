"""Exports hold the database's numbers, and change only where these change."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import ConfigError
from app.settings import Settings
from app.store import migrate
from app.store.engine import connected_engine
from tests.derived import export, refresh
from tests.integration.exports_tree import (
    COUNTS,
    LOANS,
    VALUES,
    assert_tree_is_right,
    expected_entity_files,
    hidden,
    tree,
    versions,
)
from tests.integration.warehouse_rows import Warehouse


@pytest.fixture
def warehouse(sql: asyncpg.Connection) -> Warehouse:
    return Warehouse(sql)


@pytest.fixture
async def filled(engine: AsyncEngine, settings: Settings, warehouse: Warehouse) -> Warehouse:
    """A warehouse with loans and values, refreshed."""
    await warehouse.change_values(VALUES)
    await warehouse.change_loans(COUNTS)
    await refresh(engine, settings)
    return warehouse


async def test_every_file_and_column_equals_the_raw_rows(
    engine: AsyncEngine, settings: Settings, filled: Warehouse
) -> None:
    exported = await export(engine, settings)

    assert_tree_is_right(settings.exports_dir, filled)
    assert sorted(exported.written) == sorted(tree(settings.exports_dir))
    assert (exported.removed, exported.unchanged) == ((), 0)
    assert hidden(settings.exports_dir) == {".covered.json", ".lock"}


async def test_the_loans_file_shows_the_instants_of_the_view(
    engine: AsyncEngine, settings: Settings, filled: Warehouse
) -> None:
    await export(engine, settings)

    rows = list(csv.DictReader(io.StringIO((settings.exports_dir / LOANS).read_text())))
    view = await filled.sql.fetch(
        "SELECT created_at FROM warehouse.default_liquidation_rolling_avg ORDER BY repayment_date"
    )
    assert [row["created_at"] for row in rows] == [row[0].isoformat() for row in view]


async def test_an_empty_warehouse_exports_no_file(engine: AsyncEngine, settings: Settings) -> None:
    exported = await export(engine, settings)

    assert tree(settings.exports_dir) == {}
    assert (exported.written, exported.removed, exported.unchanged) == ((), (), 0)


async def test_the_folder_is_made_where_it_is_missing(
    engine: AsyncEngine, settings: Settings, filled: Warehouse, tmp_path: Path
) -> None:
    settings.exports_dir = tmp_path / "some" / "where"

    await export(engine, settings)

    assert_tree_is_right(settings.exports_dir, filled)


async def test_only_files_whose_numbers_changed_are_written(
    engine: AsyncEngine, settings: Settings, filled: Warehouse
) -> None:
    await export(engine, settings)
    before = versions(settings.exports_dir)

    await filled.change_values({date(2023, 1, 5): [-5, 0, 2], date(2023, 2, 1): [7]})
    await refresh(engine, settings)
    exported = await export(engine, settings)

    after = versions(settings.exports_dir)
    changed = {path for path in after if after[path] != before[path]}
    assert changed == {
        "year=2023/entity_stats_yearly_2023.csv",
        "year=2023/month=1/entity_stats_monthly_2023_1.csv",
        "year=2023/month=1/day=5/entity_stats_daily_2023_1_5.csv",
    }
    assert set(exported.written) == changed
    assert_tree_is_right(settings.exports_dir, filled)


async def test_files_of_a_changed_day_that_read_the_same_are_left_as_they_are(
    engine: AsyncEngine, settings: Settings, filled: Warehouse
) -> None:
    await export(engine, settings)
    before = versions(settings.exports_dir)

    # The day's number of rows changes, and none of the exported numbers.
    await filled.change_values({date(2024, 2, 29): [0, 0], date(2023, 2, 1): [0]})
    await refresh(engine, settings)
    await export(engine, settings)
    middle = versions(settings.exports_dir)
    await filled.change_values({date(2024, 2, 29): [0, 0, 0]})
    await refresh(engine, settings)
    exported = await export(engine, settings)

    assert exported.written == ()
    assert exported.unchanged == 3
    assert versions(settings.exports_dir) == middle != before


@pytest.mark.parametrize("full", [False, True])
async def test_a_second_export_touches_nothing(
    engine: AsyncEngine, settings: Settings, filled: Warehouse, full: bool
) -> None:
    await export(engine, settings)
    before = versions(settings.exports_dir)

    exported = await export(engine, settings, full=full)

    assert (exported.written, exported.removed) == ((), ())
    assert exported.unchanged == (len(before) if full else 0)
    assert versions(settings.exports_dir) == before


@pytest.mark.parametrize("full", [False, True])
async def test_a_vanished_day_month_or_year_loses_its_files_and_folders(
    engine: AsyncEngine, settings: Settings, filled: Warehouse, full: bool
) -> None:
    await export(engine, settings)

    gone = [date(2023, 1, 5), date(2023, 2, 1), date(2022, 12, 31)]
    await filled.change_values({day: [] for day in gone})
    await filled.change_loans(dict.fromkeys(COUNTS))
    await refresh(engine, settings)
    exported = await export(engine, settings, full=full)

    assert_tree_is_right(settings.exports_dir, filled)
    assert not (settings.exports_dir / "year=2022").exists()
    assert not (settings.exports_dir / "loans").exists()
    assert set(exported.removed) == {
        "year=2022/entity_stats_yearly_2022.csv",
        "year=2022/month=12/entity_stats_monthly_2022_12.csv",
        "year=2022/month=12/day=31/entity_stats_daily_2022_12_31.csv",
        "year=2023/month=1/day=5/entity_stats_daily_2023_1_5.csv",
        "year=2023/month=2/entity_stats_monthly_2023_2.csv",
        "year=2023/month=2/day=1/entity_stats_daily_2023_2_1.csv",
        LOANS,
    }


async def test_a_full_export_mends_what_others_did_to_our_files_and_leaves_theirs(
    engine: AsyncEngine, settings: Settings, filled: Warehouse
) -> None:
    folder = settings.exports_dir
    await export(engine, settings)
    (folder / "year=2023/entity_stats_yearly_2023.csv").write_text("mine now")
    (folder / "year=2022/month=12/entity_stats_monthly_2022_12.csv").unlink()
    stray = folder / "year=2021/month=3/entity_stats_monthly_2021_3.csv"
    theirs = [
        "notes.txt",
        "year=2022/month=12/day=31/readme.md",
        "year=2021/month=3/entity_stats_monthly_2021_03.csv",
        "year=2023/month=2/entity_stats_monthly_2023_1.csv",
        "year=1999/other.csv",
        "loans/other.csv",
    ]
    for path in [stray, *(folder / name for name in theirs)]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("kept")

    exported = await export(engine, settings, full=True)

    assert not stray.exists()
    assert exported.removed == ("year=2021/month=3/entity_stats_monthly_2021_3.csv",)
    assert len(exported.written) == 2
    for name in theirs:
        assert (folder / name).read_text() == "kept"
        (folder / name).unlink()
    for name in ("year=2021/month=3", "year=2021", "year=1999"):
        (folder / name).rmdir()
    assert_tree_is_right(folder, filled)


@pytest.mark.parametrize(
    ("year", "month", "prefix", "gone"),
    [
        (2023, None, "year=2023/", "year=2023/month=7/entity_stats_monthly_2023_7.csv"),
        (
            2023,
            1,
            "year=2023/month=1/",
            "year=2023/month=1/day=9/entity_stats_daily_2023_1_9.csv",
        ),
    ],
)
async def test_a_year_or_month_is_written_alone_and_whole(
    engine: AsyncEngine,
    settings: Settings,
    filled: Warehouse,
    year: int,
    month: int | None,
    prefix: str,
    gone: str,
) -> None:
    stray = settings.exports_dir / gone
    stray.parent.mkdir(parents=True)
    stray.write_text("no longer true")

    exported = await export(engine, settings, year=year, month=month)

    expected = {
        path: content
        for path, content in expected_entity_files(filled).items()
        if path.startswith(prefix)
    }
    assert tree(settings.exports_dir) == expected
    assert exported.removed == (gone,)


async def test_a_year_alone_does_not_count_as_having_exported_the_rest(
    engine: AsyncEngine, settings: Settings, filled: Warehouse
) -> None:
    await export(engine, settings)
    await filled.change_values({date(2024, 5, 5): [1], date(2023, 5, 5): [1]})
    await refresh(engine, settings)

    await export(engine, settings, year=2023)
    exported = await export(engine, settings)

    assert_tree_is_right(settings.exports_dir, filled)
    assert len(exported.written) == 3


async def test_a_month_without_its_year_is_refused(engine: AsyncEngine, settings: Settings) -> None:
    with pytest.raises(ConfigError, match="year"):
        await export(engine, settings, month=2)


@pytest.fixture
def renamed(empty_database: str, settings: Settings) -> Settings:
    """Settings of a database whose schemas have other names."""
    changes = {"database_url": empty_database, "staging_schema": "landing", "dw_schema": "order"}
    renamed = settings.model_copy(update=changes)
    migrate.upgrade(renamed, empty_database)
    return renamed


@pytest.fixture
async def renamed_warehouse(renamed: Settings) -> AsyncIterator[Warehouse]:
    connection = await asyncpg.connect(renamed.database_url)
    yield Warehouse(connection, schema='"order"')
    await connection.close()


async def test_schemas_may_have_other_names(
    renamed: Settings, renamed_warehouse: Warehouse
) -> None:
    assert renamed.database_url
    await renamed_warehouse.change_values(VALUES)
    await renamed_warehouse.change_loans(COUNTS)

    async with connected_engine(renamed.database_url, renamed) as engine:
        refreshed = await refresh(engine, renamed)
        await export(engine, renamed)
        again = await refresh(engine, renamed, full=True)

    assert [each.rows_changed for each in refreshed] == [len(COUNTS), len(VALUES)]
    assert [each.rows_changed for each in again] == [0, 0]
    assert_tree_is_right(renamed.exports_dir, renamed_warehouse)
