"""An entity file is its month: after the load the warehouse's month equals it."""

from __future__ import annotations

from datetime import date

import asyncpg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import LoadCounts, LoadStatus
from app.settings import Settings
from tests.integration.months_files import (
    Oracle,
    Row,
    at,
    file_of,
    many,
    month_file,
    partitions,
    versions,
    warehouse,
)
from tests.loading import Folder, csv_text


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


async def test_a_fresh_month_becomes_a_partition(folder: Folder) -> None:
    month = many(100)
    load = await folder.load("entity_2023_01.csv", file_of(month))
    assert load.counts == LoadCounts(read=100, inserted=100)
    assert await warehouse(folder) == month
    assert await partitions(folder) == {"entity_2023_01"}
    assert await folder.touched(load) == {created_at.date() for created_at, _ in month}
    assert await folder.rows("SELECT DISTINCT load_id FROM warehouse.entity") == [(load.load_id,)]


async def test_a_partition_is_made_like_its_parent(folder: Folder) -> None:
    await folder.load("entity_2023_12.csv", file_of(many(3, "2023-12")))
    assert await folder.rows(
        "SELECT conname, pg_get_constraintdef(oid), conparentid <> 0 FROM pg_constraint"
        " WHERE conrelid = 'warehouse.entity_2023_12'::regclass AND contype <> 'n'"
    ) == [("pk_entity_2023_12", "PRIMARY KEY (created_at, entity_id)", True)]
    assert await folder.rows(
        "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'entity_2023_12'"
    ) == [("FOR VALUES FROM ('2023-12-01 00:00:00') TO ('2024-01-01 00:00:00')",)]
    columns = (
        "SELECT attname::text, attnum, atttypid::regtype::text, attnotnull, atthasdef,"
        " col_description(attrelid, attnum) FROM pg_attribute"
        " WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum"
    )
    own = await folder.rows(columns, "warehouse.entity_2023_12")
    assert own == await folder.rows(columns, "warehouse.entity")
    assert await folder.rows("SELECT obj_description('warehouse.entity_2023_12'::regclass)") == [
        ("The month 2023-12 of entity, as its newest file says.",)
    ]


async def test_without_ids_a_row_is_known_by_its_position_in_the_file(folder: Folder) -> None:
    rows = [(str(at(1)), 5), ("never", 6), (str(at(1)), 7), *((str(at(2)), 8) for _ in range(20))]
    load = await folder.load("entity_2023_01.csv", csv_text(("created_at", "value"), rows))
    assert load.counts == LoadCounts(read=23, inserted=22, rejected=1)
    assert await folder.rejects(load) == [(3, "created_at", "never,6")]
    expected = {(at(1), 1): 5, (at(1), 3): 7} | {(at(2), n): 8 for n in range(4, 24)}
    assert await warehouse(folder) == expected


async def test_rows_outside_the_month_are_rejected(folder: Folder) -> None:
    inside = [(at(1), 1, 1), (at(31, 86399.999999), 2, 2)]
    outside = [(at(31, 86400), 3, 3), (at(1, -0.000001), 4, 4)]
    filling = [(at(5), n, 0) for n in range(10, 30)]
    load = await folder.load("entity_2023_01.csv", month_file([*inside, *outside, *filling]))
    assert load.counts == LoadCounts(read=24, inserted=22, rejected=2)
    assert [line for line, *_ in await folder.rejects(load)] == [4, 5]
    assert await warehouse(folder) == {row[:2]: row[2] for row in [*inside, *filling]}


async def test_a_month_resent_with_another_spelling_changes_nothing(folder: Folder) -> None:
    month = many(100)
    await folder.load("entity_2023_01.csv", file_of(month))
    before = await versions(folder)
    spelled = csv_text(
        ("Value", "ENTITY ID", "Created At"),
        [
            (f"{value}.0", entity_id, created_at.isoformat())
            for (created_at, entity_id), value in reversed(month.items())
        ],
    )
    load = await folder.load("again-entity-2023-01.csv", spelled)
    assert load.counts == LoadCounts(read=100, unchanged=100)
    assert await folder.touched(load) == set()
    assert await versions(folder) == before


async def test_a_corrected_month_changes_exactly_what_differs(folder: Folder) -> None:
    oracle = Oracle()
    month = many(400)
    await folder.load("entity_2023_01.csv", file_of(month))
    oracle.merge([(*key, value) for key, value in month.items()])
    before = await versions(folder)
    keys = list(month)
    corrected = {key: value for key, value in month.items() if key not in keys[3:6]}
    corrected |= {keys[40]: -1, keys[41]: 2**63 - 1, (at(30), 1): 0, (at(31), 2): -(2**63)}
    load = await folder.load("entity_2023_01.csv", file_of(corrected))
    expected = oracle.merge([(*key, value) for key, value in corrected.items()])
    assert (load.counts, await folder.touched(load)) == expected
    assert load.counts == LoadCounts(399, inserted=2, updated=2, unchanged=395, deleted=3)
    assert await warehouse(folder) == corrected
    after = await versions(folder)
    rewritten = {key for key in after if after[key] != before.get(key)}
    assert rewritten == {keys[40], keys[41], (at(30), 1), (at(31), 2)}
    assert {after[key][-1] for key in rewritten} == {load.load_id}


async def test_a_month_that_is_mostly_different_is_replaced(folder: Folder) -> None:
    first = many(100)
    await folder.load("entity_2023_01.csv", file_of(first))
    second = {key: value + (1 if value % 2 else 0) for key, value in first.items()}
    changed = {key for key in first if first[key] != second[key]}
    oid = await folder.sql.fetchval("SELECT 'warehouse.entity_2023_01'::regclass::oid")
    load = await folder.load("entity_2023_01.csv", file_of(second))
    assert load.counts == LoadCounts(read=100, updated=len(changed), unchanged=100 - len(changed))
    assert await warehouse(folder) == second
    assert await folder.touched(load) == {created_at.date() for created_at, _ in changed}
    assert await partitions(folder) == {"entity_2023_01"}
    assert oid != await folder.sql.fetchval("SELECT 'warehouse.entity_2023_01'::regclass::oid")


async def test_a_month_may_be_emptied_and_filled_again(folder: Folder) -> None:
    month = many(60)
    await folder.load("entity_2023_01.csv", file_of(month))
    emptied = await folder.load("entity_2023_01.csv", file_of({}))
    assert emptied.counts == LoadCounts(deleted=60)
    assert await folder.touched(emptied) == {created_at.date() for created_at, _ in month}
    assert await warehouse(folder) == {}
    filled = await folder.load("entity_2023_01.csv", file_of(month))
    assert filled.counts == LoadCounts(read=60, inserted=60)
    assert await folder.touched(filled) == {created_at.date() for created_at, _ in month}
    assert await warehouse(folder) == month


async def test_a_fresh_month_may_be_empty(folder: Folder) -> None:
    load = await folder.load("entity_2023_01.csv", file_of({}))
    assert (load.status, load.counts) == (LoadStatus.LOADED, LoadCounts())
    assert await folder.touched(load) == set()


async def test_an_older_content_dropped_again_is_a_new_load(folder: Folder) -> None:
    first, second = many(50), many(40)
    await folder.load("entity_2023_01.csv", file_of(first))
    await folder.load("entity_2023_01.csv", file_of(second))
    load = await folder.load("entity_2023_01.csv", file_of(first))
    assert (load.status, load.counts) == (
        LoadStatus.LOADED,
        LoadCounts(read=50, inserted=10, unchanged=40),
    )
    again = await folder.load("entity_2023_01.csv", file_of(first))
    assert (again.status, again.counts) == (LoadStatus.DUPLICATE, LoadCounts())
    assert await warehouse(folder) == first


async def test_the_last_row_of_a_key_that_stands_twice_counts(folder: Folder) -> None:
    rows = [(at(1), 1, 10), (at(1), 2, 20), (at(1), 1, 11), (at(2), 1, 30), (at(1), 1, 12)]
    load = await folder.load("entity_2023_01.csv", month_file(rows))
    assert load.counts == LoadCounts(read=5, inserted=3, duplicate=2)
    assert await warehouse(folder) == {(at(1), 1): 12, (at(1), 2): 20, (at(2), 1): 30}
    resent = [*rows, (at(2), 1, 31)]
    load = await folder.load("entity_2023_01.csv", month_file(resent))
    assert load.counts == LoadCounts(read=6, updated=1, unchanged=2, duplicate=3)
    assert await folder.touched(load) == {date(2023, 1, 2)}


async def test_months_do_not_touch_each_other(folder: Folder) -> None:
    january, february = many(30), many(30, "2023-02")
    await folder.load("entity_2023_01.csv", file_of(january))
    await folder.load("entity_2023_02.csv", file_of(february))
    assert await warehouse(folder) == january | february
    await folder.load("entity_2023_01.csv", file_of({}))
    assert await warehouse(folder) == february
    assert await partitions(folder) == {"entity_2023_01", "entity_2023_02"}


async def test_a_failed_merge_leaves_nothing(folder: Folder) -> None:
    await folder.sql.execute(
        "CREATE TABLE warehouse.in_the_way PARTITION OF warehouse.entity"
        " FOR VALUES FROM ('2023-02-05') TO ('2023-02-06')"
    )
    load = await folder.load_unchecked("entity_2023_02.csv", file_of(many(30, "2023-02")))
    assert (load.status, load.counts) == (LoadStatus.FAILED, LoadCounts())
    assert await warehouse(folder) == {}
    assert await folder.touched(load) == set()
    await folder.check_staging()


instants = st.builds(at, st.integers(1, 3), st.sampled_from([0, 1, 86399]))
month_rows = st.lists(st.tuples(instants, st.integers(1, 3), st.integers(0, 2)), max_size=12)


@hypothesis_settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(dropped=st.lists(month_rows, min_size=1, max_size=5))
async def test_any_sequence_of_files_leaves_the_last_one(
    folder: Folder, dropped: list[list[Row]]
) -> None:
    await folder.sql.execute("DROP TABLE IF EXISTS warehouse.entity_2023_01")
    await folder.sql.execute("TRUNCATE ops.load, ops.reject, ops.touched_day")
    oracle = Oracle()
    latest = ""
    for rows in dropped:
        text = month_file(rows)
        load = await folder.load("entity_2023_01.csv", text)
        if text == latest:
            assert load.status is LoadStatus.DUPLICATE
            continue
        latest = text
        assert (load.counts, await folder.touched(load)) == oracle.merge(rows)
        assert await warehouse(folder) == oracle.kept
