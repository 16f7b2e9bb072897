"""The exports folder survives kills, other exports and trouble with the disk."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
from collections.abc import Callable
from datetime import date
from itertools import groupby
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app import export_folder
from app.errors import ConfigError, RetryableError
from app.export import EXPORT_TABLES
from app.settings import Settings
from tests.derived import export, refresh
from tests.integration.exports_tree import COUNTS, LOANS, VALUES, assert_tree_is_right, hidden, tree
from tests.integration.warehouse_rows import Counts, Warehouse

WAIT_SECONDS = 10


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


class Killed(BaseException):
    """Stands for the end of the process at that very point."""


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


async def test_no_file_has_its_name_before_all_of_them_are_on_the_disk(
    engine: AsyncEngine, settings: Settings, filled: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def recorded(name: str) -> None:
        real: Callable[..., object] = getattr(os, name)

        def step(*args: object) -> object:
            done = real(*args)
            steps.append(name)
            return done

        monkeypatch.setattr(os, name, step)

    recorded("fsync")
    recorded("replace")
    exported = await export(engine, settings)

    runs = [(name, len(list(group))) for name, group in groupby(steps)]
    of_tables, of_mark = runs[:-3], runs[-3:]
    synced, renamed = of_tables[::2], of_tables[1::2]
    assert len(synced) == len(renamed) == len(EXPORT_TABLES)
    assert [count for _, count in synced] == [count for _, count in renamed]
    assert {name for name, _ in synced} == {"fsync"}
    assert sum(count for _, count in renamed) == len(exported.written)
    # The mark comes last, and then the folder itself.
    assert of_mark == [("fsync", 1), ("replace", 1), ("fsync", 1)]


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
