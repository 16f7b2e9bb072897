"""The mark in an exports folder: which database's numbers it holds, and up to which refresh."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.export_folder import write_last
from models.ops import Refresh

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


async def newest(connection: AsyncConnection, warehouse: str) -> Mark:
    """Gives the mark of a folder that holds all there is."""
    database = await connection.execute(
        text(
            "SELECT system_identifier || '/' || oid FROM pg_control_system(), pg_database"
            " WHERE datname = current_database()"
        )
    )
    name = f"{database.scalar_one()}/{warehouse}"
    last = (
        await connection.execute(
            select(Refresh.refresh_id, Refresh.finished_at)
            .order_by(Refresh.refresh_id.desc())
            .limit(1)
        )
    ).one_or_none()
    return (
        Mark(name, last.refresh_id, last.finished_at.isoformat()) if last else Mark(name, 0, None)
    )


async def goes_on(connection: AsyncConnection, covered: Mark, newest: Mark) -> bool:
    """Whether the refreshes after the covered one are all that separates the two marks."""
    if covered.database != newest.database:
        return False
    if covered.refresh_id == 0:
        return True
    known = await connection.execute(
        select(Refresh.finished_at).where(Refresh.refresh_id == covered.refresh_id)
    )
    finished_at = known.scalar_one_or_none()
    return finished_at is not None and finished_at.isoformat() == covered.finished_at
