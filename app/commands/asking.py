"""What the database knows of files, rejected rows and derived tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import asyncpg

from app.domain import Reject
from app.errors import ConfigError
from app.files import printable_name
from app.folder import Waiting
from app.refresh import DERIVED_TABLES
from app.settings import Settings
from app.store import reports
from app.store.scripts import Scripts, schema_names

SHOWN_FILES = 25


@dataclass(frozen=True, slots=True)
class Status:
    """What the database knows of files and derived tables."""

    files: reports.Rows
    freshness: reports.Rows


async def read_status(connection: asyncpg.Connection, settings: Settings) -> Status:
    """Reads the latest files and the freshness of the derived tables."""
    derived: Mapping[str, str] = {table.name: table.pipeline for table in DERIVED_TABLES}
    return Status(
        files=await reports.recent_files(connection, SHOWN_FILES),
        freshness=await reports.freshness(connection, Scripts(schema_names(settings)), derived),
    )


def waiting_as_json(waiting: Sequence[Waiting]) -> list[Mapping[str, Any]]:
    """Gives waiting files as plain values; a path that is not UTF-8 as it prints."""
    return [{**asdict(each), "path": printable_name(str(each.path))} for each in waiting]


@dataclass(frozen=True, slots=True)
class Listed:
    """How many rejects a load has, and how it ended."""

    count: int
    end: reports.End


async def list_rejects(
    connection: asyncpg.Connection, load_id: int, show: Callable[[Reject], None]
) -> Listed:
    """Shows each rejected row of a load that the ledger has.

    Raises ConfigError when there is no such load.
    """
    end = await reports.find_end(connection, load_id)
    if not end:
        raise ConfigError(f"There is no load {load_id}; `status` lists the latest ones")
    count = 0
    async for reject in reports.stream_rejects(connection, load_id):
        show(reject)
        count += 1
    return Listed(count, end)
