"""What is left at the end, and what the oracle says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from tests.soak.dropping import Drop
from tests.soak.oracle import Fate, Oracle

Row = dict[str, Any]
KEPT_FOLDERS = (".archive", ".quarantine")


@dataclass(frozen=True, slots=True)
class Remains:
    """The database and the folders, once everything has come to rest.

    expected: what has to have become of each drop, in their order.
    """

    sql: asyncpg.Connection
    folder: Path
    drops: Sequence[Drop]
    oracle: Oracle
    expected: Sequence[Fate]

    @property
    def imports(self) -> Path:
        return self.folder / "imports"

    async def rows(self, query: str) -> list[Row]:
        return [dict(row) for row in await self.sql.fetch(query)]


def look_at(sql: asyncpg.Connection, folder: Path, drops: Sequence[Drop]) -> Remains:
    """Has the oracle read every file that was dropped, in the order of the drops."""
    oracle = Oracle()
    expected = [oracle.take(drop.name, drop.kept.read_bytes(), drop.sha256) for drop in drops]
    return Remains(sql, folder, drops, oracle, expected)


def visible(folder: Path) -> list[Path]:
    """The files below a folder that are not hidden themselves."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]


def waiting(imports: Path) -> list[Path]:
    """The files that are in the imports folder still, hidden ones too."""
    return [
        path
        for path in imports.rglob("*")
        if path.is_file() and path.relative_to(imports).parts[0] not in KEPT_FOLDERS
    ]
