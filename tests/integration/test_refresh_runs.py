"""Refresh gives the same whether run often, in full, or beside loads and other refreshes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app import refresh as refreshing
from app.errors import RetryableError
from app.settings import Settings
from app.store.engine import connected_engine
from tests.derived import refresh
from tests.integration.warehouse_rows import (
    FIRST,
    HIST,
    Counts,
    Warehouse,
    assert_daily_stats_are_right,
    assert_rates_are_right,
    count_versions,
    day_at,
    random_counts,
    rows_changed,
)

WAIT_SECONDS = 10


@pytest.fixture
def warehouse(sql: asyncpg.Connection) -> Warehouse:
    return Warehouse(sql)


@pytest.fixture
async def other(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """A second session beside `sql`."""
    connection = await asyncpg.connect(settings.database_url)
    yield connection
    await connection.close()


@pytest.fixture
def twin_url(make_database: Callable[..., str], template: str) -> str:
    """Address of a second database."""
    return make_database(template)


@pytest.fixture
async def twin(twin_url: str) -> AsyncIterator[Warehouse]:
    connection = await asyncpg.connect(twin_url)
    yield Warehouse(connection)
    await connection.close()


@pytest.fixture
async def twin_engine(twin_url: str, settings: Settings) -> AsyncIterator[AsyncEngine]:
    async with connected_engine(twin_url, settings) as engine:
        yield engine


def random_values(chance: random.Random, *, days: int) -> dict[date, list[int]]:
    """A few days with new values, or none."""
    return {
        day_at(chance.randrange(days)): [
            chance.randint(-(2**40), 2**40) for _ in range(chance.choice([0, 1, 2, 9]))
        ]
        for _ in range(chance.randint(1, 4))
    }


async def current_rows(sql: asyncpg.Connection) -> list[tuple[object, ...]]:
    """All derived numbers, without the instants they were computed at."""
    rates = await sql.fetch(
        "SELECT * FROM warehouse.default_liquidation_rolling_avg ORDER BY repayment_date"
    )
    stats = await sql.fetch("SELECT * FROM warehouse.entity_daily ORDER BY day")
    return [tuple(row)[:-1] for row in [*rates, *stats]]


@pytest.mark.parametrize("seed", range(4))
async def test_incremental_refreshes_give_the_same_bits_as_a_full_one(
    engine: AsyncEngine,
    settings: Settings,
    warehouse: Warehouse,
    twin: Warehouse,
    twin_engine: AsyncEngine,
    seed: int,
) -> None:
    chance = random.Random(seed)
    for _ in range(12):
        counts, values = random_counts(chance, days=40), random_values(chance, days=40)
        for each in (warehouse, twin):
            await each.change_loans(counts)
            await each.change_values(values)
        if chance.random() < 0.8:
            await refresh(engine, settings)
            await assert_rates_are_right(warehouse)
            await assert_daily_stats_are_right(warehouse)
    await refresh(engine, settings)

    await refresh(twin_engine, settings, full=True)

    assert await current_rows(warehouse.sql) == await current_rows(twin.sql)
    again = await refresh(engine, settings, full=True)
    assert rows_changed(again) == {HIST: 0, "entity_daily": 0}


async def test_a_full_refresh_mends_derived_tables_that_no_note_speaks_of(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    await warehouse.change_loans({day_at(n): Counts(100, 10, n) for n in range(10)})
    await warehouse.change_values({day_at(n): [n, 7] for n in range(40)})
    await refresh(engine, settings)
    await warehouse.sql.execute(f"UPDATE warehouse.{HIST} SET loans = 1 WHERE version_id = 3")
    await warehouse.sql.execute("DELETE FROM warehouse.entity_daily WHERE sum_value % 2 = 0")
    await warehouse.sql.execute(
        "INSERT INTO warehouse.entity_daily VALUES ('2020-01-01', 1, 1, 1, 1, now())"
    )
    await warehouse.sql.execute(
        "INSERT INTO ops.load (load_id, pipeline, file_name, file_bytes, sha256, discovered_at,"
        " started_at, status) OVERRIDING SYSTEM VALUE VALUES"
        " (2, 'entity', 'a', 1, 'a', now(), now(), 'loaded'),"
        " (3, 'entity', 'a', 1, 'a', now(), now(), 'failed')"
    )

    refreshed = await refresh(engine, settings, full=True)

    await assert_rates_are_right(warehouse)
    await assert_daily_stats_are_right(warehouse)
    assert [(each.days_covered, each.rows_changed) for each in refreshed] == [(10, 1), (41, 21)]
    assert [each.covered_load_id for each in refreshed] == [None, 2]


async def test_a_full_refresh_of_an_empty_warehouse_records_nothing(
    engine: AsyncEngine, settings: Settings, sql: asyncpg.Connection
) -> None:
    refreshed = await refresh(engine, settings, full=True)

    assert [each.days_covered for each in refreshed] == [0, 0]
    assert await sql.fetchval("SELECT count(*) FROM ops.refresh") == 0


async def test_a_load_that_commits_during_a_refresh_is_left_to_the_next_one(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse, other: asyncpg.Connection
) -> None:
    await warehouse.change_values({day_at(0): [1]})
    load = other.transaction()
    await load.start()
    await other.execute(
        "INSERT INTO warehouse.entity VALUES ($1, 1, 4, 9)",
        datetime.combine(day_at(0), datetime.min.time()) + timedelta(hours=1),
    )
    await other.execute("INSERT INTO ops.touched_day VALUES ('entity', $1, 9)", day_at(0))

    first = await refresh(engine, settings)
    await load.commit()
    warehouse.values[day_at(0)].append(4)
    second = await refresh(engine, settings)

    assert [each.covered_load_id for each in (first[1], second[1])] == [1, 9]
    await assert_daily_stats_are_right(warehouse)


async def until_someone_waits_for_a_lock(sql: asyncpg.Connection) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not await sql.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ):
            continue


async def test_a_refresh_waits_for_another_one(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse, other: asyncpg.Connection
) -> None:
    await warehouse.change_values({FIRST: [1]})
    await other.execute("SELECT pg_advisory_lock($1)", refreshing.REFRESH_LOCK)

    waiting = asyncio.create_task(refresh(engine, settings))
    await until_someone_waits_for_a_lock(warehouse.sql)
    assert not waiting.done()
    await other.execute("SELECT pg_advisory_unlock($1)", refreshing.REFRESH_LOCK)

    async with asyncio.timeout(WAIT_SECONDS):
        assert rows_changed(await waiting)["entity_daily"] == 1


async def test_a_refresh_that_waits_too_long_says_so_and_loses_nothing(
    engine: AsyncEngine,
    settings: Settings,
    warehouse: Warehouse,
    other: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await warehouse.change_values({FIRST: [1]})
    monkeypatch.setattr(refreshing, "LOCK_TIMEOUT", "20ms")
    await other.execute("SELECT pg_advisory_lock($1)", refreshing.REFRESH_LOCK)

    with pytest.raises(RetryableError, match="lock timeout"):
        await refresh(engine, settings)

    await other.execute("SELECT pg_advisory_unlock($1)", refreshing.REFRESH_LOCK)
    assert rows_changed(await refresh(engine, settings))["entity_daily"] == 1


async def test_refreshes_at_once_share_the_work_without_doing_any_twice(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    await warehouse.change_loans({day_at(n): Counts(100, 10, n) for n in range(30)})
    await warehouse.change_values({day_at(n): [n] for n in range(30)})

    runs = await asyncio.gather(*(refresh(engine, settings) for _ in range(4)))

    done = [(each.days_covered, each.rows_changed) for run in runs for each in run]
    assert sorted(done) == [(0, 0)] * 6 + [(30, 30)] * 2
    assert await count_versions(warehouse.sql) == 30
    await assert_rates_are_right(warehouse)


async def test_trouble_with_one_table_keeps_its_notes_and_what_others_have_done(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    await warehouse.change_loans({FIRST: Counts(10, 2, 1)})
    await warehouse.change_values({FIRST: [13]})
    await warehouse.sql.execute(
        "ALTER TABLE warehouse.entity_daily ADD CONSTRAINT ck_luck CHECK (sum_value <> 13)"
    )

    with pytest.raises(asyncpg.CheckViolationError):
        await refresh(engine, settings)

    await assert_rates_are_right(warehouse)
    notes = await warehouse.sql.fetch("SELECT pipeline, day FROM ops.touched_day")
    assert [tuple(note) for note in notes] == [("entity", FIRST)]
    await warehouse.sql.execute("ALTER TABLE warehouse.entity_daily DROP CONSTRAINT ck_luck")
    await refresh(engine, settings)
    await assert_daily_stats_are_right(warehouse)
