"""What the database knows of files, rejected rows and derived tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.domain import Reject
from app.errors import ConfigError
from app.files import printable_name
from app.folder import Waiting
from app.refresh import DERIVED_TABLES
from app.session import Session
from app.store import ledger, reports
from app.store.engine import driver_errors

SHOWN_FILES = 25


@dataclass(frozen=True, slots=True)
class Status:
    """What the database knows of files and derived tables."""

    files: reports.Rows
    freshness: reports.Rows


async def read_status(session: Session) -> Status:
    """Reads the latest files and the freshness of the derived tables."""
    derived: Mapping[str, str] = {table.name: table.pipeline for table in DERIVED_TABLES}
    with driver_errors():
        async with session.tools.engine.connect() as connection:
            return Status(
                files=await reports.recent_files(connection, SHOWN_FILES),
                freshness=await reports.freshness(connection, session.tools.scripts, derived),
            )


def waiting_as_json(waiting: Sequence[Waiting]) -> list[Mapping[str, Any]]:
    """Gives waiting files as plain values; a path that is not UTF-8 as it prints."""
    return [{**asdict(each), "path": printable_name(str(each.path))} for each in waiting]


async def list_rejects(session: Session, load_id: int, show: Callable[[Reject], None]) -> int:
    """Shows each rejected row of a load and gives their number.

    Raises ConfigError when there is no such load.
    """
    count = 0
    with driver_errors():
        async with session.tools.engine.connect() as connection:
            if await ledger.find(connection, load_id) is None:
                raise ConfigError(f"There is no load {load_id}; `status` lists the latest ones")
            async for reject in reports.stream_rejects(connection, load_id):
                show(reject)
                count += 1
    return count
