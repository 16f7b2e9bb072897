"""Fingerprints are equal for the same rows in any order, and for no others."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg
import pytest

from app.settings import Settings
from app.store.scripts import Scripts, schema_names

Row = tuple[str, int, int]
AT, LATER = "2023-01-05 00:00:00", "2023-01-05 00:00:00.000001"
# Rows that look alike to a hash that folds, joins or adds without care.
ALIKE = [
    ([(AT, 1, 1)], [(AT, 1, 2**32)]),
    ([(AT, 1, 1)], [(AT, 2**32, 1)]),
    ([(AT, 1, 0)], [(AT, 1, -1)]),
    ([(AT, 1, 23)], [(AT, 12, 3)]),
    ([(AT, 1, -2)], [(AT, 1, 2)]),
    ([(AT, 1, 2)], [(AT, 2, 1)]),
    ([(AT, 1, 5), (AT, 2, 7)], [(AT, 1, 7), (AT, 2, 5)]),
    ([(AT, 1, 5), (AT, 2, 7)], [(AT, 1, 6), (AT, 2, 6)]),
    ([(AT, 1, 5), (LATER, 2, 5)], [(LATER, 1, 5), (AT, 2, 5)]),
    ([(AT, 1, 5)], [(LATER, 1, 5)]),
    ([("2023-01-05 01:11:34.967296", 1, 5)], [(LATER, 1, 5)]),
    ([(AT, 1, 5)], []),
    ([(AT, 1, 5)], [(AT, 1, 5), (AT, 1, 5)]),
    ([(AT, 1, 5), (AT, 1, 5), (AT, 2, 6)], [(AT, 1, 5), (AT, 2, 6), (AT, 2, 6)]),
    ([(AT, 1, 5), (AT, 1, 5)], [(AT, 2, 6), (AT, 2, 6)]),
]


async def fingerprints(sql: asyncpg.Connection, rows: Sequence[Row]) -> list[tuple[object, ...]]:
    """What the statement of both sides gives for a table of these rows, inserted in this order."""
    await sql.execute("CREATE SCHEMA side; SET DateStyle = 'ISO, YMD'")
    await sql.execute(
        "CREATE TABLE side.entity (entity_id bigint, created_at timestamp, value bigint)"
    )
    await sql.copy_records_to_table(
        "entity",
        schema_name="side",
        columns=["created_at", "entity_id", "value"],
        records=[(datetime.fromisoformat(at), number, value) for at, number, value in rows],
    )
    statement = Scripts(schema_names(Settings())).text("pull/months", {"place": "side"})
    for name, value in ((":first", "'1000-01-01'"), (":beyond", "'3000-01-01'")):
        statement = statement.replace(name, value)
    found = [tuple(row) for row in await sql.fetch(f"{statement} ORDER BY 1")]
    await sql.execute("DROP SCHEMA side CASCADE")
    return found


@pytest.mark.parametrize(("some", "others"), ALIKE)
async def test_rows_that_are_alike_have_other_fingerprints(
    some: list[Row], others: list[Row], sql: asyncpg.Connection
) -> None:
    assert await fingerprints(sql, some) != await fingerprints(sql, others)


async def test_random_rows_have_one_fingerprint_in_any_order_and_another_after_any_change(
    sql: asyncpg.Connection,
) -> None:
    draw = random.Random(20230509)
    for _ in range(60):
        rows = [random_row(draw) for _ in range(draw.randint(1, 40))]
        shuffled = draw.sample(rows, len(rows))
        changed = [*rows]
        at, number, value = changed[0]
        changed[0] = draw.choice(
            [random_row(draw), (at, number, value + 1), (at, number + 1, value)]
        )

        first = await fingerprints(sql, rows)

        assert await fingerprints(sql, shuffled) == first
        assert (await fingerprints(sql, changed) == first) == (Counter(changed) == Counter(rows))
        assert [row[1] for row in first] == [
            count for _, count in sorted(Counter(at[:7] for at, *_ in rows).items())
        ]


def random_row(draw: random.Random) -> Row:
    """A row of few possible ones, so that some stand twice and some collide in a part."""
    at = datetime.fromisoformat(AT) + timedelta(
        days=draw.randint(0, 40), microseconds=draw.randint(0, 2)
    )
    return str(at), draw.randint(1, 4), draw.choice([-1, 0, 1, 2**32, draw.randint(-9, 9)])
