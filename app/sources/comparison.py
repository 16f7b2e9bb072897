"""Which months differ: fingerprints of source and warehouse, computed where the rows are.

Second step of a pull. docs/decisions/fingerprints.md says what a fingerprint relies on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import ConfigError
from app.store.engine import driver_errors
from app.store.scripts import Scripts
from models.base import WAREHOUSE

# The years that the name of a month file can say.
FIRST, BEYOND = datetime(1000, 1, 1), datetime(3000, 1, 1)  # noqa: DTZ001 - as stored
WHOLE_NUMBERS = ("smallint", "integer", "bigint")
WANTED = {
    "entity_id": WHOLE_NUMBERS,
    "created_at": ("timestamp without time zone",),
    "value": WHOLE_NUMBERS,
}


@dataclass(frozen=True, slots=True)
class Span:
    """The months that are compared: from the first instant to the one beyond."""

    first: datetime = FIRST
    beyond: datetime = BEYOND

    @classmethod
    def month(cls, month: date) -> Span:
        first = datetime(month.year, month.month, 1)  # noqa: DTZ001 - as stored
        return cls(first, (first + timedelta(days=32)).replace(day=1))

    @classmethod
    def since(cls, month: date) -> Span:
        return cls(cls.month(month).first)

    @property
    def is_whole(self) -> bool:
        return self.beyond == BEYOND and self.first == FIRST


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Equal for the same rows, whatever their order."""

    row_count: int
    row_hash: Decimal


EMPTY = Fingerprint(0, Decimal(0))


@dataclass(frozen=True, slots=True)
class Difference:
    """A month, by its first day, whose rows are not the same on both sides."""

    month: date
    source_rows: int
    warehouse_rows: int


@dataclass(frozen=True, slots=True)
class LatestLoad:
    """What a month was loaded from last. rows_left_out: those of the file the warehouse lacks."""

    load_id: int
    sha256: str
    rows_left_out: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a pull has to do.

    place: the schema of the source's table. months: how many have rows on either side.
    latest: by month as `YYYY-MM`. unsound_rows: of the source, that no month file can hold.
    """

    place: str
    months: int
    differing: tuple[Difference, ...]
    latest: Mapping[str, LatestLoad]
    unsound_rows: int


async def compare(
    source: AsyncConnection, warehouse: AsyncEngine, scripts: Scripts, span: Span
) -> Comparison:
    """Compares both sides month by month; the source's transaction stays open.

    Raises ConfigError when the source's table is not there or has other columns.
    """
    place = await find_table(source, scripts)
    theirs = await read_months(source, scripts, place, span)
    unsound_rows = await count_unsound(source, scripts, place, span)
    with driver_errors():
        async with warehouse.connect() as plain:
            ours_now = await plain.execution_options(isolation_level="REPEATABLE READ")
            await ours_now.execute(text("SET LOCAL DateStyle = 'ISO, YMD'"))
            ours = await read_months(ours_now, scripts, scripts.schema(WAREHOUSE), span)
            latest = await read_latest(ours_now, scripts)
    months = sorted(theirs.keys() | ours.keys())
    differing = tuple(
        Difference(month, theirs.get(month, EMPTY).row_count, ours.get(month, EMPTY).row_count)
        for month in months
        if theirs.get(month) != ours.get(month)
    )
    return Comparison(place, len(months), differing, latest, unsound_rows)


async def find_table(source: AsyncConnection, scripts: Scripts) -> str:
    """Gives the schema of the source's table. Raises ConfigError when it cannot be pulled from."""
    found = (await source.execute(scripts.statement("pull/columns"))).all()
    if not found:
        raise ConfigError(
            "The source database has no table entity in its search path; set SOURCE_DATABASE_URL"
            " to the database that has it"
        )
    place = found[0].place
    types = {row.name: row.type for row in found if row.name}
    wrong = [
        f"{name}: {types.get(name, 'missing')}, expected {' or '.join(wanted)}"
        for name, wanted in WANTED.items()
        if types.get(name) not in wanted
    ]
    if wrong:
        raise ConfigError(
            f"The source's table {place}.entity cannot be pulled from ({'; '.join(wrong)})"
        )
    return str(place)


async def read_months(
    connection: AsyncConnection, scripts: Scripts, place: str, span: Span
) -> dict[date, Fingerprint]:
    """Gives the fingerprint of each month that has rows, by its first day."""
    rows = await connection.execute(
        text(scripts.text("pull/months", {"place": place})),
        {"first": span.first, "beyond": span.beyond},
    )
    return {row.month: Fingerprint(row.row_count, row.row_hash) for row in rows}


async def read_latest(connection: AsyncConnection, scripts: Scripts) -> dict[str, LatestLoad]:
    rows = await connection.execute(scripts.statement("pull/latest_loads"))
    return {row.scope: LatestLoad(row.load_id, row.sha256, row.rows_left_out) for row in rows}


async def count_unsound(source: AsyncConnection, scripts: Scripts, place: str, span: Span) -> int:
    counted = await source.execute(
        text(scripts.text("pull/unsound_rows", {"place": place})),
        {"first": span.first, "beyond": span.beyond, "is_whole": span.is_whole},
    )
    return int(counted.scalar_one())
