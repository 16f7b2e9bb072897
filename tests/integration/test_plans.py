"""How much of a table a load reads: what concerns its own file, however much was loaded before.

All on tables that nobody has analyzed, as they are in the first minute of a flood of files.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.domain import Arrival, LoadCounts, LoadStatus
from app.settings import Settings
from app.store import direct, ledger
from app.store.engine import driver_connection
from app.store.ledger import Content
from app.store.scripts import Scripts, schema_names
from app.store.warehouse import merge_query
from tests.loading import Folder, csv_text

FEW = 40
EARLIER_LOADS = """
    INSERT INTO ops.load (
        pipeline, scope, file_name, file_bytes, sha256, discovered_at, started_at, finished_at,
        status, filed_at
    )
    SELECT $1, $2, format('%s_%s.csv', $1::text, n), 1, md5(n::text), now(), now(),
        now() - interval '1 day' + n * interval '1 second', 'loaded', now()
    FROM generate_series(1, 3000) AS n
"""
EARLIER_DAYS = """
    INSERT INTO warehouse.loans
        (repayment_date, loans, defaults, liquidations, as_of, load_id, updated_at)
    SELECT date '1910-01-01' + n, 9, 1, 1, date '2023-01-01', 1, now()
    FROM generate_series(1, 40000) AS n
"""
STAGED = """
    INSERT INTO staging.loans (line_number, repayment_date, loans, defaults, liquidations, as_of)
    SELECT n, date '1990-01-01' + n, 9, 2, 2, date '2023-01-02'
    FROM generate_series(1, $1::int) AS n
"""


@pytest.fixture
async def connection(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """As a load has it, in a transaction."""
    async with direct.connect(engine) as connection, direct.transaction(connection):
        yield connection


async def rows_read(connection: AsyncConnection, table: str) -> int:
    """How many rows of a table the transaction has read by now."""
    read: int = await driver_connection(connection).fetchval(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables"
        " WHERE relid = $1::regclass",
        table,
    )
    return read


@pytest.mark.parametrize(("pipeline", "scope"), [("loans", None), ("entity", "2023-01")])
async def test_the_ledger_is_not_read_as_a_whole_for_each_load(
    pipeline: str, scope: str | None, connection: AsyncConnection
) -> None:
    await driver_connection(connection).execute(EARLIER_LOADS, pipeline, scope)
    before = await rows_read(connection, "ops.load")
    name = f"{pipeline}_new.csv"
    arrival = Arrival(Path(name), name, None, 1, datetime.now(UTC))
    content = Content(pipeline, scope, "0" * 64)

    earlier = await ledger.find_earlier(connection, arrival, content)
    load_id, attempt = await ledger.claim(connection, arrival, content, earlier)
    await ledger.end(connection, load_id, LoadStatus.LOADED, LoadCounts())

    assert (earlier.unfiled, earlier.same, earlier.is_running, attempt) == (None, None, False, 1)
    assert await rows_read(connection, "ops.load") - before < FEW


async def test_the_warehouse_is_not_read_as_a_whole_for_a_small_file_after_many(
    connection: AsyncConnection, settings: Settings
) -> None:
    driver = driver_connection(connection)
    await driver.execute(EARLIER_DAYS)
    await driver.execute(STAGED, 9000)
    await driver.execute("DELETE FROM staging.loans")
    await driver.execute(STAGED, 10)
    before = await rows_read(connection, "warehouse.loans")

    merge = merge_query(Scripts(schema_names(settings)), "loans")
    [counts] = await merge.rows(connection, load_id=2, rows_staged=10)

    assert (counts["rows_updated"], counts["rows_unchanged"]) == (10, 0)
    assert await rows_read(connection, "warehouse.loans") - before < FEW


async def test_rows_of_small_files_do_not_pile_up_in_staging(
    settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection
) -> None:
    folder = Folder(settings, engine, sql)
    days = [date(2021, 1, 1) + timedelta(days=n) for n in range(700)]
    sizes = []
    for number in range(20):
        rows = [(day, number, 0, 0) for day in days]
        header = ("repayment_date", "loans", "defaults", "liquidations")
        await folder.load(f"loans_{number}.csv", csv_text(header, rows))
        sizes.append(await sql.fetchval("SELECT pg_relation_size('staging.loans')"))

    assert max(sizes) < 16 * sizes[0]
    assert min(sizes[1:]) == 0
