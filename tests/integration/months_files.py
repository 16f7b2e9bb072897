"""Month files, and what the warehouse has to hold after each, by rules told over again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from app.domain import LoadCounts
from tests.loading import Folder, csv_text

Key = tuple[datetime, int]
Row = tuple[datetime, int, int]
Month = dict[Key, int]


def at(day: int, seconds: float = 0, month: str = "2023-01") -> datetime:
    """An instant of the month."""
    return datetime.fromisoformat(f"{month}-{day:02d}") + timedelta(seconds=seconds)


def month_file(rows: Iterable[Row]) -> str:
    return csv_text(("created_at", "entity_id", "value"), rows)


def file_of(month: Mapping[Key, int]) -> str:
    return month_file((*key, value) for key, value in month.items())


def many(count: int, month: str = "2023-01") -> Month:
    """A month of that many rows, spread over its first 28 days."""
    return {(at(n % 28 + 1, n // 28, month), n): n * 7 % 1000 for n in range(count)}


@dataclass
class Oracle:
    """One month of the warehouse."""

    kept: Month = field(default_factory=dict)

    def merge(self, rows: Sequence[Row]) -> tuple[LoadCounts, set[date]]:
        """Takes a file in; gives its counts and the days whose rows changed."""
        new = {row[:2]: row[2] for row in rows}
        inserted = new.keys() - self.kept.keys()
        deleted = self.kept.keys() - new.keys()
        updated = {key for key in new.keys() & self.kept.keys() if new[key] != self.kept[key]}
        counts = LoadCounts(
            read=len(rows),
            inserted=len(inserted),
            updated=len(updated),
            unchanged=len(new) - len(inserted) - len(updated),
            deleted=len(deleted),
            duplicate=len(rows) - len(new),
        )
        self.kept = new
        return counts, {key[0].date() for key in inserted | deleted | updated}


async def warehouse(folder: Folder, schema: str = "warehouse") -> Month:
    rows = await folder.rows(f"SELECT created_at, entity_id, value FROM {schema}.entity")
    month = {(created_at, entity_id): value for created_at, entity_id, value in rows}
    assert len(month) == len(rows)
    return month


async def versions(folder: Folder) -> dict[Key, tuple[object, ...]]:
    """Where each row stands: equal as long as it is not rewritten."""
    rows = await folder.rows(
        "SELECT created_at, entity_id, tableoid, ctid::text, xmin::text, load_id"
        " FROM warehouse.entity"
    )
    return {row[:2]: row[2:] for row in rows}


async def partitions(folder: Folder, schema: str = "warehouse") -> set[str]:
    """The tables attached to entity; any other table of its name would be a left-over."""
    attached = await folder.rows(
        "SELECT inhrelid FROM pg_inherits WHERE inhparent = $1::regclass", f"{schema}.entity"
    )
    tables = await folder.rows(
        "SELECT oid, relname FROM pg_class WHERE relkind = 'r' AND relname LIKE $1", r"entity\_2%"
    )
    assert {oid for oid, _ in tables} == {oid for (oid,) in attached}
    return {name for _, name in tables}
