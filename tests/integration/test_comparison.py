"""A month sent again is compared while it is read, over many batches and pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import LoadCounts
from app.settings import Settings
from app.store import comparison
from tests.integration.months_files import (
    Month,
    Oracle,
    at,
    file_of,
    month_file,
    versions,
    warehouse,
)
from tests.loading import Folder

# Two batches of the file, and with these pages a dozen of the warehouse's.
ROWS = 80_000
PAGE_ROWS = 7_000
OID = "SELECT 'warehouse.entity_2023_01'::regclass::oid"


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "PAGE_ROWS", PAGE_ROWS)


def long_month() -> Month:
    """A month in key order, of some rows at the same instant and ids that do not increase."""
    return {(at(1, n // 3 * 90), n % 3 * 1000 - n): n % 977 for n in range(ROWS)}


def in_order(month: Month) -> Month:
    return dict(sorted(month.items()))


def corrected_here_and_there(month: Month) -> Month:
    return {key: value + (n % 100 == 7) for n, (key, value) in enumerate(month.items()) if n % 1000}


def without_six_days(month: Month) -> Month:
    return {key: value for key, value in month.items() if not 8 <= key[0].day < 14}


def without_its_ends(month: Month) -> Month:
    keys = list(month)[5:-5]
    return {key: month[key] for key in keys}


def with_a_row_between_each_twentieth(month: Month) -> Month:
    fresh = {(at + timedelta(microseconds=5), row_id): 1 for at, row_id in list(month)[::20]}
    return month | fresh


def with_more_at_both_ends(month: Month) -> Month:
    before = {(at(1), n): n for n in range(-900_000, -896_000)}
    return before | month | {(at(31, n), n): n for n in range(12_000)}


@pytest.mark.parametrize(
    "changed",
    [
        corrected_here_and_there,
        without_six_days,
        without_its_ends,
        with_a_row_between_each_twentieth,
        with_more_at_both_ends,
    ],
)
async def test_only_what_differs_is_written(
    folder: Folder, changed: Callable[[Month], Month]
) -> None:
    month = in_order(long_month())
    await folder.load("entity_2023_01.csv", file_of(month))
    before, oid = await versions(folder), await folder.sql.fetchval(OID)
    oracle = Oracle(dict(month))
    corrected = in_order(changed(month))

    load = await folder.load("entity_2023_01.csv", file_of(corrected))

    expected = oracle.merge([(*key, value) for key, value in corrected.items()])
    assert (load.counts, await folder.touched(load)) == expected
    assert await warehouse(folder) == corrected
    after = await versions(folder)
    rewritten = {key for key in after if after[key] != before.get(key)}
    assert rewritten == {key for key in corrected if corrected[key] != month.get(key)}
    assert oid == await folder.sql.fetchval(OID)
    # And back again, through a partition whose rows do not stand in key order any more.
    again = await folder.load("entity_2023_01.csv", file_of(month))
    assert again.counts == oracle.merge([(*key, value) for key, value in month.items()])[0]
    assert await warehouse(folder) == month


@pytest.mark.parametrize("spoil", ["order", "repetition", "differences"])
async def test_a_file_that_turns_out_unfit_is_read_again_and_staged(
    folder: Folder, spoil: str
) -> None:
    month = in_order(long_month())
    await folder.load("entity_2023_01.csv", file_of(month))
    oracle = Oracle(dict(month))
    rows = [(*key, value) for key, value in month.items()]
    if spoil == "order":
        rows[-1], rows[-2] = rows[-2], rows[-1]
    if spoil == "repetition":
        rows.append((*rows[-1][:2], 42))
    if spoil == "differences":
        rows = [*rows[:1000], *((*row[:2], row[2] + 1) for row in rows[1000:])]
    bad = "2023-01-01 00:00:00,1,none\n2023-02-01 00:00:00,1,1\n"

    load = await folder.load("entity_2023_01.csv", month_file(rows) + bad)

    counts, days = oracle.merge(rows)
    assert load.counts == LoadCounts(
        read=counts.read + 2,
        inserted=counts.inserted,
        updated=counts.updated,
        unchanged=counts.unchanged,
        deleted=counts.deleted,
        rejected=2,
        duplicate=counts.duplicate,
    )
    assert await folder.touched(load) == days
    assert await warehouse(folder) == oracle.kept


async def test_rejected_rows_are_gone_from_a_compared_month(folder: Folder) -> None:
    month = {(at(1, n), n): n for n in range(100)}
    await folder.load("entity_2023_01.csv", file_of(month))
    before = await versions(folder)
    text = file_of(month).replace("00:00:07,7,7\n", "00:00:07,7,seven\n")

    load = await folder.load("entity_2023_01.csv", text)

    assert load.counts == LoadCounts(read=100, unchanged=99, rejected=1, deleted=1)
    assert await versions(folder) == {key: v for key, v in before.items() if key[1] != 7}


async def test_a_transaction_that_looked_before_sees_the_old_month_whole(
    folder: Folder, settings: Settings
) -> None:
    month = {(at(1, n), n): n for n in range(1000)}
    corrected = {key: value + (value < 20) for key, value in month.items() if value != 500}
    await folder.load("entity_2023_01.csv", file_of(month))
    reader = await asyncpg.connect(settings.database_url)
    async with reader.transaction(isolation="repeatable_read"):
        select = "SELECT created_at, entity_id, value FROM warehouse.entity"
        first = await reader.fetch(select)
        await folder.load("entity_2023_01.csv", file_of(corrected))
        assert await reader.fetch(select) == first
    assert {tuple(row)[:2]: row[2] for row in await reader.fetch(select)} == corrected
    await reader.close()
