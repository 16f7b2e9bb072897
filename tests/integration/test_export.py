"""Exports hold the database's numbers, change only where these change, and survive any kill."""

from __future__ import annotations

import asyncio
import csv
import errno
import fcntl
import io
import json
import os
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from warehouse_rows import Counts, Stats, Warehouse, mean_text

from app import export_folder
from app.errors import ConfigError, RetryableError
from app.export import export
from app.refresh import refresh
from app.settings import Settings
from app.store import migrate
from app.store.engine import connected_engine

LOANS = "loans/default_liquidation_rolling_avg.csv"
LOANS_HEADER = [
    "repayment_date",
    "loans",
    "defaults",
    "liquidations",
    "liquidation_to_default_ratio",
    "rolling_avg_prev_7d",
    "rolling_avg_trailing_7d",
    "created_at",
]
WAIT_SECONDS = 10
# Days at the edges of months and years, with sums beyond 64 bits and means that need rounding.
VALUES = {
    date(2022, 12, 31): [1, 2],
    date(2023, 1, 1): [2**63 - 1] * 3,
    date(2023, 1, 5): [-5, 0, 1],
    date(2023, 1, 31): [10**18] * 100,
    date(2023, 2, 1): [7],
    date(2023, 11, 10): [1, 1, 2, 3, 5, 8, 13],
    date(2024, 2, 29): [-(2**63)],
}
COUNTS = {date(2023, 3, 1) + timedelta(days=n): Counts(900, n % 3, n) for n in range(12)}


class Killed(BaseException):
    """Stands for the end of the process at that very point."""


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


def tree(folder: Path) -> dict[str, bytes]:
    """The content of every file a reader sees; hidden ones left out, but no folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if not path.name.startswith(".") and (path.is_file() or not any(path.iterdir()))
    }


def hidden(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob(".*")}


def versions(folder: Path) -> dict[str, tuple[int, int]]:
    """What changes when a file is written anew, even with the same content."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*.csv")
    }


def line_of(key: tuple[int, ...], stats: Stats) -> str:
    return ",".join([*map(str, key), *map(str, stats[1:]), mean_text(stats)])


def expected_entity_files(warehouse: Warehouse) -> dict[str, bytes]:
    """Every file below `year=*`, computed from the raw values."""
    files = {}
    numbers = "sum_values,min_values,max_values,mean_values"
    for day in warehouse.values:
        y, m, d = day.year, day.month, day.day
        for header, key, path in (
            ("year", (y,), f"year={y}/entity_stats_yearly_{y}.csv"),
            ("year,month", (y, m), f"year={y}/month={m}/entity_stats_monthly_{y}_{m}.csv"),
            (
                "year,month,day",
                (y, m, d),
                f"year={y}/month={m}/day={d}/entity_stats_daily_{y}_{m}_{d}.csv",
            ),
        ):
            stats = warehouse.stats(*key)
            assert stats
            files[path] = f"{header},{numbers}\n{line_of(key, stats)}\n".encode()
    return files


def assert_tree_is_right(folder: Path, warehouse: Warehouse) -> None:
    """Compares names and bytes of the entity files, and the loans file value by value."""
    found = tree(folder)
    loans = found.pop(LOANS, b"")
    assert found == expected_entity_files(warehouse)
    assert_loans_are_right(loans.decode(), warehouse)


def assert_loans_are_right(content: str, warehouse: Warehouse) -> None:
    if not warehouse.loans:
        assert content == ""
        return
    header, *rows = csv.reader(io.StringIO(content, newline=""))
    assert header == LOANS_HEADER
    assert "\r" not in content
    expected = sorted(warehouse.loans.items())
    assert [row[:4] for row in rows] == [
        [day.isoformat(), *map(str, counts)] for day, counts in expected
    ]
    for row, (day, _) in zip(rows, expected, strict=True):
        for text, rate in zip(row[4:7], warehouse.rates(day), strict=True):
            assert (text == "") == (rate is None)
            if rate is not None:
                assert abs(Fraction(float(text)) - rate) < Fraction(1, 10**9)
                assert text == repr(float(text))


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


async def test_a_link_under_our_name_is_replaced_and_its_target_left_alone(
    engine: AsyncEngine, settings: Settings, filled: Warehouse, tmp_path: Path
) -> None:
    await export(engine, settings)
    ours = settings.exports_dir / "year=2023/entity_stats_yearly_2023.csv"
    target = tmp_path / "elsewhere.csv"
    ours.rename(target)
    ours.symlink_to(target)
    content = target.read_bytes()

    await export(engine, settings, full=True)

    assert not ours.is_symlink()
    assert ours.read_bytes() == target.read_bytes() == content


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


@pytest.mark.parametrize(
    "mark",
    [
        None,
        "",
        "[]",
        "{",
        '{"database": "x"}',
        '{"database": "x", "refresh_id": "2", "finished_at": null}',
    ],
)
async def test_without_a_readable_mark_everything_is_checked(
    engine: AsyncEngine, settings: Settings, filled: Warehouse, mark: str | None
) -> None:
    await export(engine, settings)
    covered = settings.exports_dir / ".covered.json"
    covered.unlink()
    if mark is not None:
        covered.write_text(mark)
    (settings.exports_dir / "year=2023/entity_stats_yearly_2023.csv").unlink()

    exported = await export(engine, settings)

    assert exported.written == ("year=2023/entity_stats_yearly_2023.csv",)
    assert_tree_is_right(settings.exports_dir, filled)
    assert (await export(engine, settings)).unchanged == 0


@pytest.mark.parametrize(
    "alteration", [{"database": "1/2/warehouse"}, {"refresh_id": 99}, {"finished_at": "2020-01-01"}]
)
async def test_a_mark_of_another_database_or_of_a_restored_one_counts_for_nothing(
    engine: AsyncEngine, settings: Settings, filled: Warehouse, alteration: dict[str, object]
) -> None:
    await export(engine, settings)
    covered = settings.exports_dir / ".covered.json"
    mark = json.loads(covered.read_text())
    covered.write_text(json.dumps(mark | alteration))
    (settings.exports_dir / LOANS).unlink()

    exported = await export(engine, settings)

    assert exported.written == (LOANS,)
    assert json.loads(covered.read_text()) == mark


async def test_each_folder_goes_on_from_where_it_stands(
    engine: AsyncEngine, settings: Settings, filled: Warehouse, tmp_path: Path
) -> None:
    elsewhere = settings.model_copy(update={"exports_dir": tmp_path / "elsewhere"})
    for round_ in range(4):
        await filled.change_values({date(2023, 1, 5 + round_): [round_]})
        await refresh(engine, settings)
        await export(engine, settings)
        if round_ % 2:
            await export(engine, elsewhere)

    assert_tree_is_right(settings.exports_dir, filled)
    assert tree(elsewhere.exports_dir) == tree(settings.exports_dir)


async def change_much(engine: AsyncEngine, settings: Settings, warehouse: Warehouse) -> None:
    """Changes, adds and removes days, so that an export has files to write and to remove."""
    await warehouse.change_values(
        {date(2023, 1, 5): [4], date(2023, 6, 6): [6, 6], date(2022, 12, 31): []}
    )
    await warehouse.change_loans({date(2023, 3, 3): Counts(800, 7, 5)})
    await refresh(engine, settings)


def kill_at(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, call: int) -> None:
    """Ends the run in place of the given call, counted from 0, of one of the steps on files."""
    real: Callable[..., object] = getattr(owner, name)
    calls = iter(range(1_000_000))

    def step(*args: object, **kwargs: object) -> object:
        if next(calls) == call:
            raise Killed
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, step)


@pytest.mark.parametrize(
    ("step", "call"),
    [
        *(("replace", call) for call in range(7)),
        *(("fsync", call) for call in range(8)),
        *(("mkdir", call) for call in range(1, 8, 3)),
        *(("unlink", call) for call in range(4)),
        *(("rmdir", call) for call in range(3)),
    ],
)
async def test_an_export_killed_anywhere_is_finished_by_the_next_one(
    engine: AsyncEngine,
    settings: Settings,
    filled: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    call: int,
) -> None:
    await export(engine, settings)
    await change_much(engine, settings, filled)

    with monkeypatch.context() as patch:
        kill_at(patch, os, step, call)
        with pytest.raises(Killed):
            await export(engine, settings)
    # What the killed run was about is no longer so: one of its new days is gone again.
    await filled.change_values({date(2023, 6, 6): []})
    await refresh(engine, settings)
    await export(engine, settings)

    assert_tree_is_right(settings.exports_dir, filled)
    assert hidden(settings.exports_dir) == {".covered.json", ".lock"}


async def test_readers_never_see_a_file_in_part(
    engine: AsyncEngine, settings: Settings, filled: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await export(engine, settings)
    before = tree(settings.exports_dir)
    await change_much(engine, settings, filled)

    with monkeypatch.context() as patch:
        kill_at(patch, os, "replace", 0)
        with pytest.raises(Killed):
            await export(engine, settings)

    assert {path: content for path, content in tree(settings.exports_dir).items() if content} == (
        before
    )


async def test_an_export_waits_for_another_one_of_the_same_folder(
    engine: AsyncEngine, settings: Settings, filled: Warehouse
) -> None:
    descriptor = export_folder.open_lock(settings.exports_dir)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await export(engine, settings)
    assert tree(settings.exports_dir) == {}
    os.close(descriptor)

    await export(engine, settings)
    assert_tree_is_right(settings.exports_dir, filled)


async def test_an_export_that_waits_too_long_says_so(
    engine: AsyncEngine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_folder, "LOCK_SECONDS", 0.0)
    descriptor = export_folder.open_lock(settings.exports_dir)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    with pytest.raises(RetryableError, match="Another export"):
        await export(engine, settings)

    os.close(descriptor)


async def test_exports_at_once_write_each_file_once(
    engine: AsyncEngine, settings: Settings, filled: Warehouse
) -> None:
    runs = await asyncio.gather(*(export(engine, settings) for _ in range(3)))

    assert_tree_is_right(settings.exports_dir, filled)
    written = [path for run in runs for path in run.written]
    assert sorted(written) == sorted(tree(settings.exports_dir))


async def test_an_export_during_refreshes_misses_none_of_them(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    async def export_until(stop: asyncio.Event) -> None:
        while not stop.is_set():
            await export(engine, settings)

    stop = asyncio.Event()
    exporting = asyncio.create_task(export_until(stop))
    for n in range(15):
        await warehouse.change_values({date(2023, 1, 1 + n): [n], date(2023, 2, 1): [n]})
        await refresh(engine, settings)
    stop.set()
    async with asyncio.timeout(WAIT_SECONDS):
        await exporting
    await export(engine, settings)

    assert_tree_is_right(settings.exports_dir, warehouse)


async def test_a_folder_that_cannot_be_used_is_named_with_what_to_do(
    engine: AsyncEngine, settings: Settings, filled: Warehouse, tmp_path: Path
) -> None:
    settings.exports_dir = tmp_path / "file"
    settings.exports_dir.write_text("not a folder")

    with pytest.raises(ConfigError, match=r"file cannot be used: .*EXPORTS_DIR"):
        await export(engine, settings)


@pytest.mark.parametrize(
    ("code", "error"), [(errno.EACCES, ConfigError), (errno.ENOSPC, RetryableError)]
)
async def test_trouble_with_writing_is_told_by_its_remedy(
    engine: AsyncEngine,
    settings: Settings,
    filled: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    error: type[Exception],
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(error, match=os.strerror(code)):
            await export(engine, settings)

    await export(engine, settings)
    assert_tree_is_right(settings.exports_dir, filled)


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
