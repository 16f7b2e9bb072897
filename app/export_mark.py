"""The mark in an exports folder: which database's numbers it holds, and up to which refresh."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncpg

from app.export_folder import write_last
from app.store.scripts import Scripts

COVERED = ".covered.json"


@dataclass(frozen=True, slots=True)
class Mark:
    """The newest refresh that a folder covers.

    database: tells databases and warehouse schemas apart. refresh_id: 0 before the first one.
    finished_at: the refresh's; another one may bear its number after a restore from a backup.
    """

    database: str
    refresh_id: int
    finished_at: str | None


def read(folder: Path) -> Mark | None:
    """Gives the folder's mark; None when there is none or it cannot be made out."""
    try:
        mark = Mark(**json.loads((folder / COVERED).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return mark if isinstance(mark.refresh_id, int) else None


def write(folder: Path, mark: Mark) -> None:
    """Puts the mark down; everything it vouches for is written before."""
    write_last(folder / COVERED, (json.dumps(asdict(mark)) + "\n").encode())


async def newest(connection: asyncpg.Connection, scripts: Scripts) -> Mark:
    """Gives the mark of a folder that holds all there is."""
    row = await connection.fetchrow(*scripts.call("exports/newest_refresh"))
    assert row  # noqa: S101 - the statement gives one row, whatever there is
    finished_at = row["finished_at"]
    return Mark(
        database=f"{row['database']}/{scripts.schema('warehouse')}",
        refresh_id=row["refresh_id"] or 0,
        finished_at=finished_at.isoformat() if finished_at else None,
    )


async def goes_on(
    connection: asyncpg.Connection, scripts: Scripts, covered: Mark, newest: Mark
) -> bool:
    """Whether the refreshes after the covered one are all that separates the two marks."""
    if covered.database != newest.database:
        return False
    if covered.refresh_id == 0:
        return True
    finished_at = await connection.fetchval(
        *scripts.call("exports/end_of_refresh", refresh_id=covered.refresh_id)
    )
    return finished_at is not None and finished_at.isoformat() == covered.finished_at
