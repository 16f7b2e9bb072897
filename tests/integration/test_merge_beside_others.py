"""Months are loaded side by side, and beside readers who stay."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import date

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import Facts, LoadCounts
from app.pipelines import entity
from app.settings import Settings
from app.store import direct, months
from app.store.scripts import Scripts, schema_names
from tests.integration.months_files import Month, file_of, many, partitions, warehouse
from tests.loading import Folder

LIMIT_SECONDS = 30
MONTH_NUMBERS = range(1, 7)
ALL_VALUES = "SELECT created_at, entity_id, value FROM warehouse.entity"


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


@pytest.fixture
async def reader(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """The connection of somebody who looks at the warehouse meanwhile."""
    connection = await asyncpg.connect(settings.database_url)
    yield connection
    await connection.close()


async def seen(reader: asyncpg.Connection) -> Month:
    return {(row[0], row[1]): row[2] for row in await reader.fetch(ALL_VALUES)}


async def load_all(folder: Folder, months: dict[str, Month]) -> list[LoadCounts]:
    async with asyncio.timeout(LIMIT_SECONDS):
        loads = await asyncio.gather(
            *(folder.load_unchecked(name, file_of(month)) for name, month in months.items())
        )
    for load in loads:
        await folder.check(load)
    return [load.counts for load in loads]


async def test_months_are_attached_changed_and_replaced_side_by_side(folder: Folder) -> None:
    fresh = {f"entity_2023_{n:02d}.csv": many(50 * n, f"2023-{n:02d}") for n in MONTH_NUMBERS}
    assert await load_all(folder, fresh) == [
        LoadCounts(read=50 * n, inserted=50 * n) for n in MONTH_NUMBERS
    ]
    assert await partitions(folder) == {f"entity_2023_{n:02d}" for n in MONTH_NUMBERS}
    resent = {
        name: {key: value + (number % 2 or key[1] == 0) for key, value in month.items()}
        for number, (name, month) in enumerate(fresh.items(), 1)
    }
    assert await load_all(folder, resent) == [
        LoadCounts(read=50 * n, updated=50 * n)
        if n % 2
        else LoadCounts(read=50 * n, updated=1, unchanged=50 * n - 1)
        for n in MONTH_NUMBERS
    ]
    expected = {key: value for month in resent.values() for key, value in month.items()}
    assert await warehouse(folder) == expected


async def test_one_month_dropped_by_several_people_is_loaded_in_turn(folder: Folder) -> None:
    versions = {f"{n}_entity_2023_01.csv": many(20 + n) for n in range(4)}
    counts = await load_all(folder, versions)
    assert sorted(count.read for count in counts) == [20, 21, 22, 23]
    assert await warehouse(folder) in versions.values()


async def test_a_reader_who_stays_neither_blocks_a_load_nor_sees_half_a_month(
    folder: Folder, reader: asyncpg.Connection
) -> None:
    old, new = many(100), {key: value + 1 for key, value in many(120).items()}
    await folder.load("entity_2023_01.csv", file_of(old))
    async with reader.transaction(isolation="repeatable_read"):
        assert await seen(reader) == old
        async with asyncio.timeout(LIMIT_SECONDS):
            load = await folder.load("entity_2023_01.csv", file_of(new))
        assert load.counts == LoadCounts(read=120, inserted=20, updated=100)
        assert await warehouse(folder) == new
        assert await seen(reader) == old
    assert await seen(reader) == new
    assert await partitions(folder) == {"entity_2023_01"}


async def test_a_reader_who_only_looked_elsewhere_never_sees_an_empty_month(
    folder: Folder, reader: asyncpg.Connection
) -> None:
    old, new = many(100), {key: value + 1 for key, value in many(100).items()}
    await folder.load("entity_2023_01.csv", file_of(old))
    async with reader.transaction(isolation="repeatable_read"):
        await reader.fetch("SELECT 1 FROM warehouse.loans")
        load = await folder.load("entity_2023_01.csv", file_of(new))
        assert load.counts == LoadCounts(read=100, updated=100)
        assert await seen(reader) == old
    assert await seen(reader) == new


async def test_a_reader_in_the_middle_of_a_statement_never_sees_an_empty_month(
    folder: Folder, reader: asyncpg.Connection
) -> None:
    old, new = many(100), {key: value + 1 for key, value in many(100).items()}
    await folder.load("entity_2023_01.csv", file_of(old))
    await folder.sql.execute("SELECT pg_advisory_lock(1)")
    async with reader.transaction(isolation="repeatable_read"), asyncio.TaskGroup() as tasks:
        await reader.fetch("SELECT 1 FROM warehouse.loans")
        working = tasks.create_task(reader.execute("SELECT pg_advisory_lock(1)"))
        await until_someone_waits_for_a_lock(folder)
        load = await folder.load("entity_2023_01.csv", file_of(new))
        await folder.sql.execute("SELECT pg_advisory_unlock(1)")
        await working
        assert load.counts == LoadCounts(read=100, updated=100)
        assert await seen(reader) == old
    assert await seen(reader) == new


async def until_someone_waits_for_a_lock(folder: Folder) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not await folder.sql.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event = 'advisory'"
        ):
            continue


async def test_sessions_that_may_not_be_looked_into_count_as_readers_who_stay(
    folder: Folder, reader: asyncpg.Connection
) -> None:
    role = f"owner_{uuid.uuid4().hex[:12]}"
    question = str(Scripts(schema_names(folder.settings)).statement("merge/old_snapshots"))
    assert await reader.fetchval(question) is False
    await folder.sql.execute(f"CREATE ROLE {role}")
    try:
        await folder.sql.execute(f"ALTER FUNCTION ops.has_old_snapshots() OWNER TO {role}")
        assert await reader.fetchval(question) is True
        await folder.sql.execute(f"GRANT pg_read_all_stats TO {role}")
        assert await reader.fetchval(question) is False
    finally:
        await folder.sql.execute(f"REASSIGN OWNED BY {role} TO current_user; DROP ROLE {role}")


async def test_a_fresh_month_does_not_wait_for_readers(
    folder: Folder, reader: asyncpg.Connection
) -> None:
    january, february = many(30), many(30, "2023-02")
    await folder.load("entity_2023_01.csv", file_of(january))
    async with reader.transaction():
        assert await seen(reader) == january
        async with asyncio.timeout(LIMIT_SECONDS):
            await folder.load("entity_2023_02.csv", file_of(february))
    assert await seen(reader) == january | february


async def test_a_load_still_copying_does_not_keep_another_month_from_its_replacement(
    folder: Folder,
) -> None:
    old, new = many(100), {key: value + 1 for key, value in many(100).items()}
    await folder.load("entity_2023_01.csv", file_of(old))
    oid = await folder.sql.fetchval("SELECT 'warehouse.entity_2023_01'::regclass::oid")
    today = date(2024, 5, 6)
    facts = Facts("2023-02", today, today)
    scripts = Scripts(schema_names(folder.settings))
    async with folder.engine.connect() as copying, copying.begin():
        await months.Month(copying, scripts, entity.PIPELINE, facts, load_id=99).run("stage")
        await folder.load("entity_2023_01.csv", file_of(new))
    assert oid != await folder.sql.fetchval("SELECT 'warehouse.entity_2023_01'::regclass::oid")
    assert await warehouse(folder) == new


async def test_after_a_replacement_the_load_still_waits_for_locks_with_a_limit(
    folder: Folder,
) -> None:
    old, new = many(100), {key: value + 1 for key, value in many(100).items()}
    await folder.load("entity_2023_01.csv", file_of(old))
    oid = await folder.sql.fetchval("SELECT 'warehouse.entity_2023_01'::regclass::oid")
    await folder.sql.execute(
        """
        CREATE TABLE seen (lock_timeout text);
        CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO seen VALUES (current_setting('lock_timeout'));
            RETURN NULL;
        END $$;
        CREATE TRIGGER look AFTER UPDATE ON ops.load
            FOR EACH ROW WHEN (new.status = 'loaded' AND old.status = 'running')
            EXECUTE FUNCTION look();
        """
    )
    await folder.load("entity_2023_01.csv", file_of(new))
    assert oid != await folder.sql.fetchval("SELECT 'warehouse.entity_2023_01'::regclass::oid")
    assert await folder.rows("SELECT lock_timeout FROM seen") == [(direct.LOCK_WAIT,)]


async def test_readers_see_whole_months_only(folder: Folder, reader: asyncpg.Connection) -> None:
    # Every version of the month has one value throughout and a row count of its own.
    versions = [dict.fromkeys(many(40 + n), n) for n in range(8)]
    await folder.load("entity_2023_01.csv", file_of(versions[0]))
    done = asyncio.Event()

    async def look() -> int:
        looks = 0
        while not done.is_set():
            assert await seen(reader) in versions
            looks += 1
        return looks

    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(look())
        for version in versions[1:]:
            await folder.load("entity_2023_01.csv", file_of(version))
        done.set()
    assert looking.result() > 0
    assert await warehouse(folder) == versions[-1]
