"""Refresh keeps the derived tables equal to the raw rows, and every change of them in sight."""

from __future__ import annotations

import random
import re
from datetime import date, datetime
from fractions import Fraction

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.settings import Settings
from app.store.scripts import Scripts, schema_names
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


async def test_rates_follow_calendar_days_with_gaps_and_days_without_defaults(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    present = [0, 1, 2, 3, 5, 6, 7, 8, 9, 14, 15, 16, 23, 24, 40]
    without_defaults = {2, 3, 16, 24}
    await warehouse.change_loans(
        {day_at(n): Counts(1000, 0 if n in without_defaults else 7 + n, 3 * n) for n in present}
    )

    await refresh(engine, settings)

    await assert_rates_are_right(warehouse)
    assert warehouse.rates(day_at(0)).prev_7d is None
    assert warehouse.rates(day_at(40)) == (Fraction(120, 47), None, Fraction(120, 47))
    assert warehouse.rates(day_at(24)).ratio is None


async def test_a_correction_adds_versions_only_where_its_day_counts(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    await warehouse.change_loans({day_at(n): Counts(100, 10, n + 1) for n in range(30)})
    await refresh(engine, settings)

    await warehouse.change_loans({day_at(10): Counts(100, 10, 50)})
    refreshed = await refresh(engine, settings)

    await assert_rates_are_right(warehouse)
    assert rows_changed(refreshed) == {HIST: 8, "entity_daily": 0}
    rows = await warehouse.sql.fetch(
        f"SELECT repayment_date FROM warehouse.{HIST} WHERE superseded_at IS NOT NULL ORDER BY 1"
    )
    assert [row["repayment_date"] for row in rows] == [day_at(n) for n in range(10, 18)]
    assert await count_versions(warehouse.sql) == 38


async def test_a_late_day_between_and_before_others_reaches_the_days_after_it(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    await warehouse.change_loans({day_at(n): Counts(100, 10 + n, n) for n in range(20) if n != 9})
    await refresh(engine, settings)

    await warehouse.change_loans({day_at(9): Counts(9, 3, 1), day_at(-5): Counts(8, 4, 1)})
    refreshed = await refresh(engine, settings)

    await assert_rates_are_right(warehouse)
    late_and_following = {9, -5, *range(10, 17), *range(3)}
    assert rows_changed(refreshed)[HIST] == len(late_and_following)


async def test_a_vanished_day_is_superseded_without_a_new_version(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    await warehouse.change_loans({day_at(n): Counts(100, 10, n) for n in range(3)})
    await refresh(engine, settings)

    await warehouse.change_loans({day_at(2): None})
    await refresh(engine, settings)

    await assert_rates_are_right(warehouse)
    last = await warehouse.sql.fetch(
        f"SELECT superseded_at FROM warehouse.{HIST} WHERE repayment_date = $1", day_at(2)
    )
    assert len(last) == 1
    assert last[0]["superseded_at"] == await warehouse.sql.fetchval(
        "SELECT max(started_at) FROM ops.refresh"
    )


async def test_a_second_refresh_finds_nothing_to_do(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    await warehouse.change_loans({FIRST: Counts(10, 2, 1)})
    await warehouse.change_values({FIRST: [1, 2]})
    first = await refresh(engine, settings)

    second = await refresh(engine, settings)

    assert [(each.name, each.days_covered, each.rows_changed) for each in first] == [
        (HIST, 1, 1),
        ("entity_daily", 1, 1),
    ]
    assert [(each.days_covered, each.rows_changed, each.covered_load_id) for each in second] == [
        (0, 0, None),
        (0, 0, None),
    ]
    assert await warehouse.sql.fetchval("SELECT count(*) FROM ops.refresh") == 2


async def test_days_touched_in_vain_are_covered_but_change_nothing(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    counts, values = {FIRST: Counts(10, 2, 1)}, {FIRST: [3, 4]}
    await warehouse.change_loans(counts)
    await warehouse.change_values(values)
    await refresh(engine, settings)
    before = await warehouse.sql.fetch("SELECT * FROM warehouse.entity_daily")

    await warehouse.change_loans(counts)
    await warehouse.change_values(values)
    refreshed = await refresh(engine, settings)

    assert rows_changed(refreshed) == {HIST: 0, "entity_daily": 0}
    assert await count_versions(warehouse.sql) == 1
    assert await warehouse.sql.fetch("SELECT * FROM warehouse.entity_daily") == before
    last = await warehouse.sql.fetch(
        "SELECT name, rows_changed, covered_load_id FROM ops.refresh ORDER BY refresh_id LIMIT 2"
        " OFFSET 2"
    )
    assert [tuple(row) for row in last] == [(HIST, 0, 3), ("entity_daily", 0, 4)]
    assert await warehouse.sql.fetchval("SELECT max(refresh_id) FROM ops.changed_day") == 2


async def test_the_ledger_of_refreshes_names_the_changed_days_and_the_newest_load(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    await warehouse.change_values({day_at(0): [1], day_at(1): [2]})
    await warehouse.change_values({day_at(1): [2, 5]})

    await refresh(engine, settings)

    run = await warehouse.sql.fetchrow("SELECT * FROM ops.refresh")
    assert run
    assert (run["name"], run["rows_changed"], run["covered_load_id"]) == ("entity_daily", 2, 2)
    assert run["started_at"] <= run["finished_at"]
    changed = await warehouse.sql.fetch("SELECT * FROM ops.changed_day ORDER BY day")
    assert [tuple(row) for row in changed] == [
        ("entity_daily", day_at(n), run["refresh_id"]) for n in (0, 1)
    ]
    assert await warehouse.sql.fetchval("SELECT count(*) FROM ops.touched_day") == 0


async def test_history_reads_back_as_of_any_instant(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    chance = random.Random(7)
    seen: list[tuple[datetime, list[asyncpg.Record]]] = []
    for _ in range(6):
        await warehouse.change_loans(random_counts(chance, days=15))
        await refresh(engine, settings)
        rows = await warehouse.sql.fetch(
            "SELECT * FROM warehouse.default_liquidation_rolling_avg ORDER BY repayment_date"
        )
        seen.append((await warehouse.sql.fetchval("SELECT clock_timestamp()"), rows))

    for instant, rows in seen:
        as_of = await warehouse.sql.fetch(
            "SELECT repayment_date, loans, defaults, liquidations, liquidation_to_default_ratio,"
            f" rolling_avg_prev_7d, rolling_avg_trailing_7d, created_at FROM warehouse.{HIST}"
            " WHERE created_at <= $1 AND (superseded_at > $1 OR superseded_at IS NULL)"
            " ORDER BY repayment_date",
            instant,
        )
        assert as_of == rows


async def test_a_version_ends_at_the_very_instant_the_next_one_begins(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    for n in range(4):
        await warehouse.change_loans({FIRST: Counts(100, 10, n)})
        await refresh(engine, settings)

    rows = await warehouse.sql.fetch(
        f"SELECT created_at, superseded_at FROM warehouse.{HIST} ORDER BY version_id"
    )

    begins = [row["created_at"] for row in rows]
    assert len(set(begins)) == 4
    assert [row["superseded_at"] for row in rows] == [*begins[1:], None]


async def test_instants_go_forward_even_when_the_clock_is_set_back(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    await warehouse.change_loans({FIRST: Counts(100, 10, 1)})
    await refresh(engine, settings)
    await warehouse.sql.execute("UPDATE ops.refresh SET started_at = now() + interval '1 day'")
    await warehouse.sql.execute(
        f"UPDATE warehouse.{HIST} SET created_at = (SELECT started_at FROM ops.refresh)"
    )

    await warehouse.change_loans({FIRST: Counts(100, 10, 2)})
    await refresh(engine, settings)

    rows = await warehouse.sql.fetch(
        f"SELECT created_at, superseded_at FROM warehouse.{HIST} ORDER BY version_id"
    )
    assert rows[0]["created_at"] < rows[1]["created_at"] == rows[0]["superseded_at"]
    assert await warehouse.sql.fetchval(
        "SELECT started_at <= finished_at FROM ops.refresh ORDER BY refresh_id DESC LIMIT 1"
    )


async def test_daily_stats_follow_changed_new_and_emptied_days(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    largest = 2**63 - 1
    await warehouse.change_values({day_at(n): [n, -n, 5] for n in range(20)})
    await refresh(engine, settings)
    kept = await warehouse.sql.fetchrow(
        "SELECT * FROM warehouse.entity_daily WHERE day = $1", day_at(4)
    )

    await warehouse.change_values(
        {
            day_at(3): [],
            day_at(4): [5, 4, -4],
            day_at(5): [largest, largest],
            day_at(30): [-largest - 1],
        }
    )
    refreshed = await refresh(engine, settings)

    await assert_daily_stats_are_right(warehouse)
    assert rows_changed(refreshed)["entity_daily"] == 3
    assert kept == await warehouse.sql.fetchrow(
        "SELECT * FROM warehouse.entity_daily WHERE day = $1", day_at(4)
    )


async def test_a_month_without_rows_has_no_daily_stats(
    engine: AsyncEngine, settings: Settings, warehouse: Warehouse
) -> None:
    month = [date(2023, 3, n) for n in range(1, 32)]
    await warehouse.change_values({day: [1, 2] for day in [*month, date(2023, 4, 1)]})
    await refresh(engine, settings)

    await warehouse.sql.execute("DROP TABLE warehouse.entity_2023_03")
    await warehouse.note("entity", month)
    await refresh(engine, settings)

    days = await warehouse.sql.fetch("SELECT day FROM warehouse.entity_daily")
    assert [row["day"] for row in days] == [date(2023, 4, 1)]


async def test_a_new_day_is_planned_and_computed_without_a_look_at_other_months(
    settings: Settings, warehouse: Warehouse
) -> None:
    months = [date(2023, month, 1) for month in range(1, 13)]
    await warehouse.change_values({day: list(range(50)) for day in months})
    script = Scripts(schema_names(settings)).text("refresh/entity_daily")
    script = script.replace(":days", "$1").replace(":refreshed_at", "$2")

    plan = await warehouse.sql.fetch(
        f"EXPLAIN (ANALYZE, COSTS OFF) {script}", [date(2023, 7, 1)], datetime.now().astimezone()
    )

    scans = [row[0] for row in plan if re.search(r" on entity_2023_\d\d ", row[0])]
    assert len(scans) == 1
    assert " on entity_2023_07 " in scans[0]
    assert "actual time" in scans[0]
