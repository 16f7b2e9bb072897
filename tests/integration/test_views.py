"""Views show exactly the promised columns, explain themselves, and are exact."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.settings import Settings
from tests.derived import refresh
from tests.integration.warehouse_rows import Warehouse, mean_text

STATS = ["sum_values", "min_values", "max_values", "mean_values"]
COLUMNS = {
    "warehouse.default_liquidation_rolling_avg": [
        "repayment_date",
        "loans",
        "defaults",
        "liquidations",
        "liquidation_to_default_ratio",
        "rolling_avg_prev_7d",
        "rolling_avg_trailing_7d",
        "created_at",
    ],
    "warehouse.entity_stats_daily": ["year", "month", "day", *STATS],
    "warehouse.entity_stats_monthly": ["year", "month", *STATS],
    "warehouse.entity_stats_yearly": ["year", *STATS],
}
AT_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LARGEST = 2**63 - 1
# Means that end on a half or just beside it, and sums beyond 64 bits.
HARD_VALUES = {
    date(2023, 1, 1): [0] * 127 + [1],
    date(2023, 1, 2): [0] * 127 + [-1],
    date(2023, 1, 3): [LARGEST, LARGEST, LARGEST - 1],
    date(2023, 1, 4): [-LARGEST - 1, -LARGEST - 1, -LARGEST],
    date(2023, 1, 5): [10, 20],
    date(2023, 1, 6): [0, 0, 1],
    date(2023, 2, 1): [123_456_789_012_345_678, 1] + [0] * 638,
    date(2024, 2, 29): [5],
    date(2024, 12, 31): [LARGEST] * 20,
}


async def columns_of(sql: asyncpg.Connection, view: str) -> dict[str, str | None]:
    rows = await sql.fetch(
        "SELECT attname, col_description(attrelid, attnum) AS comment FROM pg_attribute"
        " WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum",
        view,
    )
    return {row["attname"]: row["comment"] for row in rows}


@pytest.mark.parametrize("view", COLUMNS)
async def test_a_view_has_exactly_the_promised_columns(sql: asyncpg.Connection, view: str) -> None:
    assert list(await columns_of(sql, view)) == COLUMNS[view]


@pytest.mark.parametrize("view", [*COLUMNS, "ops.file_status"])
async def test_a_view_and_each_of_its_columns_has_a_comment(
    sql: asyncpg.Connection, view: str
) -> None:
    assert await sql.fetchval("SELECT obj_description($1::text::regclass)", view)
    assert all((await columns_of(sql, view)).values())


async def test_every_view_has_a_script_and_every_script_its_view(sql: asyncpg.Connection) -> None:
    views = await sql.fetch(
        "SELECT viewname FROM pg_views WHERE schemaname IN ('ops', 'staging', 'warehouse')"
    )
    scripts = (Path(__file__).parents[2] / "sql" / "views").glob("*.sql")

    assert sorted(view["viewname"] for view in views) == sorted(path.stem for path in scripts)


@pytest.mark.parametrize("grain", ["daily", "monthly", "yearly"])
async def test_entity_statistics_are_exact(
    engine: AsyncEngine, settings: Settings, sql: asyncpg.Connection, grain: str
) -> None:
    warehouse = Warehouse(sql)
    await warehouse.change_values(HARD_VALUES)
    await refresh(engine, settings)
    width = {"daily": 3, "monthly": 2, "yearly": 1}[grain]
    expected = {}
    for key in {(day.year, day.month, day.day)[:width] for day in HARD_VALUES}:
        stats = warehouse.stats(*key)
        assert stats
        expected[key] = (*map(str, stats[1:]), mean_text(stats))

    rows = await sql.fetch(f"SELECT * FROM warehouse.entity_stats_{grain}")

    found = {tuple(row)[:width]: tuple(map(in_full, tuple(row)[width:])) for row in rows}
    assert found == expected


def in_full(number: Decimal | int) -> str:
    """All digits, where str would write an exponent."""
    return f"{number:f}" if isinstance(number, Decimal) else str(number)


async def enter_load(sql: asyncpg.Connection, **values: object) -> int:
    """Writes a line of the ledger; gives its load_id."""
    line = {
        "pipeline": "loans",
        "file_name": "loans.csv",
        "file_bytes": 10,
        "sha256": "ab",
        "discovered_at": AT_NOON,
        "started_at": AT_NOON,
        "status": "loaded",
        **values,
    }
    places = ", ".join(f"${position}" for position in range(1, len(line) + 1))
    load_id: int = await sql.fetchval(
        f"INSERT INTO ops.load ({', '.join(line)}) VALUES ({places}) RETURNING load_id",
        *line.values(),
    )
    return load_id


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({"status": "running"}, "being loaded since 2026-03-01 12:00:00 UTC"),
        (
            {"status": "running", "attempt": 3},
            "being loaded since 2026-03-01 12:00:00 UTC, attempt 3",
        ),
        (
            {
                "rows_read": 625,
                "rows_inserted": 600,
                "rows_updated": 12,
                "rows_unchanged": 8,
                "rows_deleted": 4,
                "rows_rejected": 2,
                "rows_duplicate": 3,
            },
            "loaded: 600 inserted, 12 updated, 8 unchanged, 4 deleted,"
            " 3 repeated in the file, 2 rejected",
        ),
        ({"rows_read": 5, "rows_unchanged": 5}, "loaded: 5 unchanged"),
        ({}, "loaded: the file holds no rows"),
        (
            {"status": "duplicate", "error": "The same content as load 12; nothing to load."},
            "The same content as load 12; nothing to load.",
        ),
        ({"status": "duplicate"}, "the same content as an earlier load; nothing to load"),
        (
            {"status": "quarantined", "pipeline": None, "error": "Found no header."},
            "quarantined: Found no header.",
        ),
        ({"status": "failed", "error": "KeyError: 'a'"}, "failed: KeyError: 'a'"),
        ({"status": "failed"}, "failed: no reason was recorded"),
    ],
)
async def test_file_status_says_what_happened_in_words(
    sql: asyncpg.Connection, line: dict[str, object], sentence: str
) -> None:
    await enter_load(sql, **line)

    assert await sql.fetchval("SELECT what_happened FROM ops.file_status") == sentence


async def test_file_status_shows_the_latest_load_of_each_file_name(
    sql: asyncpg.Connection,
) -> None:
    await enter_load(sql, status="quarantined", error="Found no header.")
    other = await enter_load(sql, file_name="entity_2023_01.csv", scope="2023-01")
    latest = await enter_load(sql, rows_read=2, rows_inserted=2, filed_path="archive/3_loans.csv")

    rows = await sql.fetch("SELECT * FROM ops.file_status ORDER BY file_name")

    assert [(row["file_name"], row["load_id"], row["loads"]) for row in rows] == [
        ("entity_2023_01.csv", other, 1),
        ("loans.csv", latest, 2),
    ]
    assert rows[1]["status"] == "loaded"
    assert rows[1]["filed_path"] == "archive/3_loans.csv"
    assert rows[1]["rows_inserted"] == 2


async def test_file_status_keeps_files_of_one_name_in_two_folders_apart(
    sql: asyncpg.Connection,
) -> None:
    loans = await enter_load(sql, file_name="data.csv", folder="loans")
    titles = await enter_load(sql, file_name="data.csv", folder="job_titles")
    await enter_load(sql, file_name="data.csv")
    top = await enter_load(sql, file_name="data.csv")

    rows = await sql.fetch("SELECT folder, load_id, loads FROM ops.file_status ORDER BY load_id")

    assert [tuple(row) for row in rows] == [
        ("loans", loans, 1),
        ("job_titles", titles, 1),
        (None, top, 2),
    ]


async def test_file_status_is_read_in_the_order_of_an_index(sql: asyncpg.Connection) -> None:
    await sql.execute(
        "SET enable_sort = off; SET enable_seqscan = off; SET enable_incremental_sort = off"
    )

    plan = await sql.fetch("EXPLAIN SELECT * FROM ops.file_status")

    lines = [line for (line,) in plan]
    assert any("Index Scan using ix_load_file" in line for line in lines)
    assert not any("Sort" in line for line in lines)
