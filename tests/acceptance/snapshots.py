"""All that two installations must have in common when only one of them was disturbed.

Every table there is and every file below the folder, but for what no two runs share: instants,
who did the work and how often it was begun. A refresh that is rolled back uses numbers up, so
refreshes, and the versions of rows that they write, are numbered anew.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import asyncpg

TABLES = """
    SELECT format('%I.%I', nspname, relname) AS name,
        array_agg(attname::text ORDER BY attname) AS columns,
        array_agg(attname::text ORDER BY attname)
            FILTER (WHERE atttypid = 'timestamptz'::regtype) AS instants
    FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
    WHERE nspname IN ('ops', 'staging', 'warehouse') AND relkind IN ('r', 'p')
        AND NOT relispartition
    GROUP BY nspname, relname
"""
RELATIONS = """
    SELECT relname::text, relkind::text, coalesce(pg_get_expr(relpartbound, pg_class.oid), ''),
        coalesce(pg_get_indexdef(indexrelid), ''),
        array(
            SELECT conname || ' ' || pg_get_constraintdef(pg_constraint.oid) FROM pg_constraint
            WHERE conrelid = pg_class.oid ORDER BY 1
        )
    FROM pg_class
    LEFT JOIN pg_index ON indexrelid = pg_class.oid
    WHERE relnamespace::regnamespace::text IN ('ops', 'staging', 'warehouse')
    ORDER BY relname
"""
NEVER_ALIKE = {"worker", "attempt"}
OTHERS_FILES = {"logs", "dropped"}
DAY = re.compile(r"\d{4}/\d\d/\d\d/")
Snapshot = dict[str, Any]


async def take(sql: asyncpg.Connection, folder: Path, archive: Path) -> Snapshot:
    """Gives what is in the database, below the folder, and in the archive if that is elsewhere."""
    refreshes = await sql.fetch("SELECT refresh_id FROM ops.refresh ORDER BY refresh_id")
    numbers = {row["refresh_id"]: number for number, row in enumerate(refreshes, 1)}
    tables = {
        table["name"]: await rows_of(sql, table, (folder, archive), numbers)
        for table in await sql.fetch(TABLES)
    }
    relations = [tuple(row) for row in await sql.fetch(RELATIONS)]
    found = files(folder, numbers)
    if not archive.is_relative_to(folder):
        found |= {f"archive/{name}": content for name, content in files(archive, numbers).items()}
    return {"tables": tables, "relations": relations, "files": found}


async def rows_of(
    sql: asyncpg.Connection,
    table: asyncpg.Record,
    folders: tuple[Path, Path],
    numbers: dict[int, int],
) -> list[str]:
    """Gives the rows of a table as text, sorted; instants only as being there or not."""
    instants = table["instants"] or []
    shown = [
        f'"{name}" IS NULL AS "{name}"' if name in instants else f'"{name}"'
        for name in table["columns"]
        if name not in NEVER_ALIKE
    ]
    rows = [dict(row) for row in await sql.fetch(f"SELECT {', '.join(shown)} FROM {table['name']}")]
    for row in rows:
        if row.get("filed_path"):
            for folder in folders:
                row["filed_path"] = row["filed_path"].removeprefix(str(folder))
            row["filed_path"] = DAY.sub("", row["filed_path"])
        if "refresh_id" in row:
            row["refresh_id"] = numbers[row["refresh_id"]]
    if "version_id" in table["columns"]:
        for number, row in enumerate(sorted(rows, key=lambda row: row["version_id"])):
            row["version_id"] = number
    return sorted(map(str, rows))


def files(folder: Path, numbers: dict[int, int]) -> dict[str, Any]:
    """Gives the content of every file, hidden ones too, and the folders with nothing in them."""
    found: dict[str, Any] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] in OTHERS_FILES:
            continue
        if path.is_file():
            found[DAY.sub("", name)] = content_of(path, numbers)
        elif not any(path.iterdir()):
            found[f"{name}/"] = None
    return found


def content_of(path: Path, numbers: dict[int, int]) -> Any:
    content = path.read_bytes()
    if path.name.endswith(".error.json"):
        note = json.loads(content)
        del note["at"]
        return note
    if path.name == ".covered.json":
        return numbers.get(json.loads(content)["refresh_id"], 0)
    if path.name == "default_liquidation_rolling_avg.csv":
        return [line.rpartition(",")[0] for line in content.decode().splitlines()]
    return content


def differences(found: Snapshot, expected: Snapshot) -> list[str]:
    """Says what one has and the other has not, in a form that people can read."""
    said = []
    for part in ("tables", "files"):
        for name in sorted({*found[part], *expected[part]}):
            one, other = found[part].get(name, "nothing"), expected[part].get(name, "nothing")
            if one != other:
                said.append(f"{name}: found {shown(one, other)}, expected {shown(other, one)}")
    for one, other in ((found, expected), (expected, found)):
        which = "found" if one is found else "expected"
        said += [
            f"only {which}: {each}" for each in one["relations"] if each not in other["relations"]
        ]
    return said


def shown(one: Any, other: Any) -> str:
    if isinstance(one, list) and isinstance(other, list):
        return str([each for each in one if each not in other][:5])
    return str(one)[:1000]
