"""Of a refused file so many rejects are kept as the settings say, its first ones; else all."""

from __future__ import annotations

import gzip
import random

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import Load, LoadCounts, LoadStatus
from app.settings import Settings
from tests.integration.months_files import at, file_of, many
from tests.loading import Folder

HEADER = "repayment_date,loans,defaults,liquidations\n"
# More than one batch of lines that are no rows.
MANY = 70_000
BATCH = 32_768


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


def keeping(folder: Folder, most: int, **changes: object) -> Folder:
    changed = folder.settings.model_copy(update={"max_kept_rejects": most, **changes})
    return Folder(changed, folder.engine, folder.sql)


def is_refused(load: Load, rows: int) -> bool:
    return load.status is LoadStatus.QUARANTINED and load.counts == LoadCounts(rows, rejected=rows)


def says_how_many(load: Load, kept: int, count: int) -> bool:
    assert load.error
    return load.error.endswith(
        f" Only the first {kept} of the {count} bad rows are kept (MAX_KEPT_REJECTS); the whole"
        " file is in the quarantine."
    )


@pytest.mark.parametrize("most", [1, BATCH, BATCH + 1, MANY - 1])
async def test_the_first_rejects_of_a_refused_file_are_kept_and_all_are_counted(
    folder: Folder, most: int
) -> None:
    few = keeping(folder, most)
    load = await few.load("loans.csv", HEADER + "".join(f"x{n}\n" for n in range(MANY)))
    assert is_refused(load, MANY)
    assert says_how_many(load, most, MANY)
    assert await few.rejects(load) == [(n + 2, None, f"x{n}") for n in range(most)]


@pytest.mark.parametrize("most", [MANY, MANY + 1])
async def test_a_refused_file_with_as_many_rejects_as_are_kept_says_nothing_of_it(
    folder: Folder, most: int
) -> None:
    load = await keeping(folder, most).load("loans.csv", HEADER + "x\n" * MANY)
    assert is_refused(load, MANY)
    assert load.error
    assert "kept" not in load.error
    assert len(await folder.rejects(load)) == MANY


async def test_a_load_that_ends_well_keeps_every_reject(folder: Folder) -> None:
    tolerant = keeping(folder, 10, max_rejected_ratio=1.0)
    bad = "".join(f"x{n}\n" for n in range(MANY))
    load = await tolerant.load("loans.csv", f"{HEADER}{bad}2023-01-01,4,1,1\n")
    assert (load.status, load.error) == (LoadStatus.LOADED, None)
    assert load.counts == LoadCounts(MANY + 1, inserted=1, rejected=MANY)
    assert await folder.rejects(load) == [(n + 2, None, f"x{n}") for n in range(MANY)]


async def test_good_rows_that_come_last_may_save_a_file_with_more_rejects_than_are_kept(
    folder: Folder,
) -> None:
    bad = "".join(f"{at(1)},{n},bad\n" for n in range(60))
    load = await keeping(folder, 10).load("entity_2023_01.csv", file_of({}) + bad + rows_of(600))
    assert load.counts == LoadCounts(660, inserted=600, rejected=60)
    assert [line for line, *_ in await folder.rejects(load)] == list(range(2, 62))


def rows_of(count: int) -> str:
    return file_of(many(count)).split("\n", 1)[1]


async def test_rejects_read_before_a_file_proves_damaged_are_cut_as_well(folder: Folder) -> None:
    drawn = random.Random(7)
    bad = [drawn.randbytes(150).hex() for _ in range(20_000)]  # some blocks of text
    content = gzip.compress((HEADER + "\n".join(bad)).encode())[:-2000]
    load = await keeping(folder, 5).load("loans.csv.gz", content)
    assert load.error
    assert "cut off or damaged" in load.error
    assert is_refused(load, load.counts.read)
    assert 5 < load.counts.read < len(bad)
    assert says_how_many(load, 5, load.counts.read)
    assert await folder.rejects(load) == [(n + 2, None, bad[n]) for n in range(5)]


async def test_a_limit_of_rejected_rows_ends_the_reading_and_the_first_are_kept(
    folder: Folder,
) -> None:
    strict = keeping(folder, 3, max_rejected_rows=BATCH // 2)
    load = await strict.load("loans.csv", HEADER + "x\n" * MANY)
    assert is_refused(load, load.counts.read)
    assert load.counts.read < MANY
    assert says_how_many(load, 3, load.counts.read)
    assert [line for line, *_ in await folder.rejects(load)] == [2, 3, 4]


async def test_a_month_that_is_read_twice_keeps_its_first_rejects_once(folder: Folder) -> None:
    await folder.load("entity_2023_01.csv", file_of(many(200)))
    bad = "".join(f"{at(28)},{n},bad\n" for n in range(1000, 1200))
    others = file_of({key: value + 1 for key, value in many(300).items()})
    load = await keeping(folder, 4).load("entity_2023_01.csv", others + bad)
    assert is_refused(load, 500)
    assert says_how_many(load, 4, 200)
    assert await folder.rejects(load) == [
        (302 + n, "value", f"{at(28)},{1000 + n},bad") for n in range(4)
    ]
