"""What PostgreSQL itself says of our schemas, to compare two databases with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg

ALEMBICS_OWN = "alembic_version"
SCHEMAS = ("ops", "staging", "warehouse")

TABLES = """
    SELECT n.nspname, c.relname, c.relkind, c.relpersistence, pg_get_partkeydef(c.oid),
        obj_description(c.oid, 'pg_class')
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND NOT c.relispartition
    ORDER BY 1, 2
"""
COLUMNS = """
    SELECT n.nspname, c.relname, rank() OVER (PARTITION BY c.oid ORDER BY a.attnum), a.attname,
        format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
        pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
    FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = a.attrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0
        AND NOT a.attisdropped AND NOT c.relispartition
    ORDER BY 1, 2, 3
"""
CONSTRAINTS = """
    SELECT n.nspname, c.relname, k.conname, k.contype, pg_get_constraintdef(k.oid)
    FROM pg_constraint AS k
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY($1) AND NOT c.relispartition
    ORDER BY 1, 2, 3
"""
INDEXES = """
    SELECT n.nspname, c.relname, i.relname, pg_get_indexdef(i.oid)
    FROM pg_index AS x
    JOIN pg_class AS i ON i.oid = x.indexrelid
    JOIN pg_class AS c ON c.oid = x.indrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY($1) AND NOT c.relispartition
    ORDER BY 1, 2, 3
"""
PARTS = {"tables": TABLES, "columns": COLUMNS, "constraints": CONSTRAINTS, "indexes": INDEXES}


async def fetch(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement, *values)]
    finally:
        await connection.close()


def ask(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Runs one statement from a test that has no event loop."""
    return asyncio.run(fetch(url, statement, *values))


def describe(url: str, schemas: Sequence[str] = SCHEMAS) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the schemas: tables, columns, constraints and indexes, with comments."""
    return {part: ask(url, statement, list(schemas)) for part, statement in PARTS.items()}


def declared(catalogue: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """What of it the models declare: no views, and not Alembic's own table."""
    others = {row[:2] for row in catalogue["tables"] if row[2] == b"v" or row[1] == ALEMBICS_OWN}
    return {
        part: [row for row in rows if row[:2] not in others] for part, rows in catalogue.items()
    }
