"""A simulated month in the source: all or nothing, the same again, and nobody else's rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg
import pytest

from app.errors import ConfigError, DatabaseUnreachableError
from app.settings import Settings
from app.sources.simulate import Simulated, draw_rows, simulate

MADE_BY_PEOPLE = """
CREATE TABLE entity (entity_id bigserial, created_at timestamp, value int);
INSERT INTO entity (created_at, value) VALUES ('2023-02-10 00:00', 1);
"""


@pytest.fixture
def address(empty_database: str) -> str:
    """Address of a source with nothing in it."""
    return empty_database


@pytest.fixture
async def source(address: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(address)
    yield connection
    await connection.close()


def settings_of(address: str, controller: int = 1) -> Settings:
    return Settings(source_database_url=address, random_main_controller=controller)


def instant(written: str) -> datetime:
    return datetime.fromisoformat(written)


async def rows_of(source: asyncpg.Connection) -> list[tuple[datetime, int]]:
    rows = await source.fetch("SELECT created_at, value FROM entity ORDER BY created_at, entity_id")
    return [tuple(row) for row in rows]


async def test_a_missing_table_is_made_and_filled_in_order_of_time(
    address: str, source: asyncpg.Connection
) -> None:
    expected = list(draw_rows(2023, 2, 1))

    done = await simulate(address, settings_of(address), 2023, 2)

    assert done == Simulated(rows_deleted=0, rows_inserted=len(expected))
    assert await rows_of(source) == expected
    ids = [row[0] for row in await source.fetch("SELECT entity_id FROM entity ORDER BY created_at")]
    assert ids == list(range(1, len(expected) + 1))


async def test_a_month_simulated_again_has_the_same_rows_under_new_ids(
    address: str, source: asyncpg.Connection
) -> None:
    first = await simulate(address, settings_of(address), 2023, 2)

    again = await simulate(address, settings_of(address), 2023, 2)

    assert again == Simulated(first.rows_inserted, first.rows_inserted)
    assert await rows_of(source) == list(draw_rows(2023, 2, 1))
    assert await source.fetchval("SELECT min(entity_id) FROM entity") == first.rows_inserted + 1


async def test_only_the_month_itself_is_replaced_and_all_of_it(
    address: str, source: asyncpg.Connection
) -> None:
    await simulate(address, settings_of(address), 2023, 12)
    await source.execute(
        "INSERT INTO entity (created_at, value) VALUES ('2023-11-30 23:59:59.999999', 7),"
        " ('2023-12-31 23:59:59.999999', 8), ('2024-01-01', 9)"
    )

    await simulate(address, settings_of(address, controller=3), 2023, 12)

    assert await rows_of(source) == [
        (instant("2023-11-30 23:59:59.999999"), 7),
        *draw_rows(2023, 12, 3),
        (instant("2024-01-01"), 9),
    ]


async def test_a_month_of_more_rows_than_a_batch_is_whole(
    address: str, source: asyncpg.Connection
) -> None:
    await simulate(address, settings_of(address, controller=100), 2023, 7)

    expected = list(draw_rows(2023, 7, 100))
    assert len(expected) > 100_000
    assert await rows_of(source) == expected


async def test_simulations_of_one_month_at_the_same_time_leave_it_once(
    address: str, source: asyncpg.Connection
) -> None:
    await asyncio.gather(*(simulate(address, settings_of(address), 2023, 4) for _ in range(4)))

    assert await rows_of(source) == list(draw_rows(2023, 4, 1))


async def test_a_simulation_that_fails_leaves_the_month_as_it_was(
    address: str, source: asyncpg.Connection
) -> None:
    await simulate(address, settings_of(address), 2023, 3)
    await source.execute("ALTER TABLE entity ADD CONSTRAINT small CHECK (value < 1000)")

    with pytest.raises(Exception, match="violates check constraint"):
        await simulate(address, settings_of(address, controller=1000), 2023, 3)

    assert await rows_of(source) == list(draw_rows(2023, 3, 1))


async def test_rows_that_are_not_simulated_are_kept_until_somebody_says_that_they_may_go(
    address: str, source: asyncpg.Connection
) -> None:
    await source.execute(MADE_BY_PEOPLE)

    with pytest.raises(ConfigError) as refused:
        await simulate(address, settings_of(address), 2023, 2)
    assert await rows_of(source) == [(instant("2023-02-10"), 1)]

    await source.execute(str(refused.value).partition("say so there: ")[2])
    await simulate(address, settings_of(address), 2023, 2)
    assert await rows_of(source) == list(draw_rows(2023, 2, 1))


async def test_an_empty_table_of_the_sources_own_making_is_filled(
    address: str, source: asyncpg.Connection
) -> None:
    await source.execute(MADE_BY_PEOPLE)
    await source.execute("DELETE FROM entity")

    for _ in range(2):
        await simulate(address, settings_of(address), 2023, 2)

    assert await rows_of(source) == list(draw_rows(2023, 2, 1))


async def test_the_table_may_lie_in_another_schema_of_the_search_path(
    address: str, source: asyncpg.Connection
) -> None:
    name = await source.fetchval("SELECT current_database()")
    await source.execute(
        f'CREATE SCHEMA "Sales"; ALTER DATABASE "{name}" SET search_path = "Sales"'
    )

    await simulate(address, settings_of(address), 2023, 2)

    assert await source.fetchval('SELECT count(*) FROM "Sales".entity') == len(
        list(draw_rows(2023, 2, 1))
    )


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("entity_id bigserial, created_at timestamp", "value: missing"),
        ("created_at timestamp, value int", "entity_id: missing"),
        ("entity_id bigserial, created_at timestamp, value smallint", "value is smallint"),
        ("entity_id bigserial, created_at timestamp, value text", "value: text"),
    ],
)
async def test_a_table_with_other_columns_is_left_as_it_is(
    columns: str, said: str, address: str, source: asyncpg.Connection
) -> None:
    await source.execute(f"CREATE TABLE entity ({columns})")

    with pytest.raises(ConfigError, match=said):
        await simulate(address, settings_of(address), 2023, 2)

    assert await source.fetchval("SELECT obj_description('entity'::regclass)") is None


async def test_values_may_be_bigint(address: str, source: asyncpg.Connection) -> None:
    await source.execute(
        "CREATE TABLE entity (entity_id bigserial, created_at timestamp, value bigint)"
    )

    await simulate(address, settings_of(address), 2023, 2)

    assert await rows_of(source) == list(draw_rows(2023, 2, 1))


async def test_a_source_that_is_away_or_refuses_is_said_to_be_the_source(address: str) -> None:
    away = "postgresql://me@127.0.0.1:1/production_data"
    with pytest.raises(DatabaseUnreachableError, match="The source database cannot be reached"):
        await simulate(away, settings_of(away), 2023, 2)

    absent = f"{address.partition('?')[0]}_none{''.join(address.partition('?')[1:])}"
    with pytest.raises(ConfigError, match="The source database refuses"):
        await simulate(absent, settings_of(absent), 2023, 2)
