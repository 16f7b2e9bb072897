"""Rejects are kept with every load; too many of them and no row of the file is."""

from __future__ import annotations

import random
from collections.abc import Mapping

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import Load, LoadCounts, LoadStatus
from app.settings import Settings
from tests.integration.months_files import at, file_of, many, partitions, warehouse
from tests.loading import Folder, csv_text

LOANS = ("repayment_date", "loans", "defaults", "liquidations")
GOOD = ("2023-05-01", 10, 1, 2)


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


def with_settings(folder: Folder, **changes: object) -> Folder:
    return Folder(folder.settings.model_copy(update=changes), folder.engine, folder.sql)


def loans_file(good: int, bad: int) -> str:
    rows = [(f"2023-{n // 28 + 1:02d}-{n % 28 + 1:02d}", 10, 1, 2) for n in range(good)]
    return csv_text(LOANS, [*rows, *((f"bad {n}", 1, 0, 0) for n in range(bad))])


async def loan_count(folder: Folder) -> int:
    count = await folder.sql.fetchval("SELECT count(*) FROM warehouse.loans")
    assert isinstance(count, int)
    return count


def is_refused(load: Load, rows: int) -> bool:
    return load.status is LoadStatus.QUARANTINED and load.counts == LoadCounts(rows, rejected=rows)


@pytest.mark.parametrize(
    ("limits", "good", "bad", "is_loaded"),
    [
        ({}, 9, 1, True),
        ({}, 17, 2, False),
        ({}, 0, 1, False),
        ({}, 0, 0, True),
        ({"max_rejected_ratio": 0.0}, 200, 1, False),
        ({"max_rejected_ratio": 0.0}, 200, 0, True),
        ({"max_rejected_ratio": 1.0}, 0, 5, True),
        ({"max_rejected_ratio": 1.0, "max_rejected_rows": 5}, 1, 5, True),
        ({"max_rejected_ratio": 1.0, "max_rejected_rows": 5}, 100, 6, False),
        ({"max_rejected_rows": 0}, 100, 1, False),
        ({"max_rejected_rows": 50}, 10, 2, False),
    ],
)
async def test_a_file_with_more_bad_rows_than_allowed_is_quarantined(
    folder: Folder, limits: Mapping[str, object], good: int, bad: int, is_loaded: bool
) -> None:
    load = await with_settings(folder, **limits).load("loans.csv", loans_file(good, bad))
    if is_loaded:
        assert (load.status, load.counts) == (
            LoadStatus.LOADED,
            LoadCounts(good + bad, inserted=good, rejected=bad),
        )
    else:
        assert is_refused(load, good + bad)
    assert await loan_count(folder) == (good if is_loaded else 0)
    assert await folder.rejects(load) == [
        (good + 2 + n, "repayment_date", f"bad {n},1,0,0") for n in range(bad)
    ]


async def test_a_refused_month_leaves_the_month_before_it(folder: Folder) -> None:
    month = many(50)
    await folder.load("entity_2023_01.csv", file_of(month))
    broken = file_of(many(40)) + "".join(f"{at(1)},{n},bad\n" for n in range(10))
    load = await folder.load("entity_2023_01.csv", broken)
    assert is_refused(load, 50)
    assert len(await folder.rejects(load)) == 10
    assert await folder.touched(load) == set()
    assert await warehouse(folder) == month
    fresh = await folder.load("entity_2023_02.csv", broken)
    assert is_refused(fresh, 50)
    assert await partitions(folder) == {"entity_2023_01"}


async def test_refused_titles_leave_the_titles_before_them(folder: Folder) -> None:
    await folder.load("titles.csv", csv_text(("title", "pdl count"), [("a", 1)]))
    load = await folder.load("titles.csv", csv_text(("title", "pdl count"), [("a", 2), ("", 3)]))
    assert is_refused(load, 2)
    assert await folder.rows("SELECT title, pdl_count FROM warehouse.job_title") == [("a", 1)]


async def test_the_message_says_how_many_and_which_limit(folder: Folder) -> None:
    load = await folder.load("loans.csv", loans_file(8, 2))
    assert load.error is not None
    for part in ("2 bad rows among the 10 read", "line 10", "repayment_date", "MAX_REJECTED_RATIO"):
        assert part in load.error
    strict = with_settings(folder, max_rejected_rows=1)
    load = await strict.load("loans.csv", loans_file(7, 2))
    assert load.error is not None
    assert "at most 1 (MAX_REJECTED_ROWS)" in load.error


async def test_structural_and_contract_rejects_are_listed_together(folder: Folder) -> None:
    lines = [f"2023-05-{n:02d},10,1,2" for n in range(1, 29)]
    lines[3:3] = ["2023-06-01,10,1", "2023-06-02,1,1,1", "2023-06-03,10,1,2,3"]
    text = "\n".join([",".join(LOANS), *lines])
    load = await folder.load("loans.csv", text)
    assert load.counts == LoadCounts(read=31, inserted=28, rejected=3)
    assert await folder.rejects(load) == [
        (5, None, "2023-06-01,10,1"),
        (6, None, "2023-06-02,1,1,1"),
        (7, None, "2023-06-03,10,1,2,3"),
    ]


async def test_many_rejects_outgrow_memory_and_are_all_kept(folder: Folder) -> None:
    count, drawn = 6000, random.Random(7)
    fillers = [drawn.randbytes(1500).hex() for _ in range(count)]  # what hardly compresses
    bad = ((filler, 1, 0, 0) for filler in fillers)
    tolerant = with_settings(folder, max_rejected_ratio=1.0)
    load = await tolerant.load("loans.csv", csv_text(LOANS, [GOOD, *bad]))
    assert load.counts == LoadCounts(count + 1, inserted=1, rejected=count)
    rejects = await folder.rejects(load)
    assert rejects == [(n + 3, "repayment_date", f"{fillers[n]},1,0,0") for n in range(count)]


async def test_a_nul_inside_json_text_costs_its_row_alone(folder: Folder) -> None:
    lines = [f'{{"title": "t{n}", "pdl count": {n}}}' for n in range(20)]
    lines[5:5] = [
        '{"title": "a\\u0000b", "pdl count": 1}',
        '{"title": "c\\ud800d", "pdl count": 1}',
    ]
    load = await folder.load("titles.jsonl", "\n".join(lines))
    assert load.counts == LoadCounts(read=22, inserted=20, rejected=2)
    assert [line for line, *_ in await folder.rejects(load)] == [6, 7]
