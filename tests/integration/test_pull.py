"""Whatever is corrected in the source comes through, and only the months concerned travel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import Arrival, Load, LoadStatus
from app.errors import RetryableError
from app.loader import Tools, load_file
from app.pipelines import all_pipelines
from app.settings import Settings
from app.sources.comparison import Span
from app.sources.landing import End, land
from app.sources.postgres import PulledMonth, pull
from app.store.scripts import Scripts, schema_names

Row = tuple[datetime, int, int]
ENTITY = "SELECT created_at, entity_id, value FROM {} ORDER BY 1, 2"
# 300 rows of each month, with ids from 1, 301 and 601.
MONTHS = (date(2022, 12, 1), date(2023, 1, 1), date(2023, 2, 1))
HOUR = timedelta(hours=2, microseconds=123_457)

CORRECTIONS = {
    "a value changed": "UPDATE entity SET value = value + 1 WHERE entity_id = 400",
    "two values swapped": """
        UPDATE entity SET value = other.value FROM entity AS other
        WHERE (entity.entity_id, other.entity_id) IN ((400, 401), (401, 400))
        """,
    "two rows exchange their ids": """
        UPDATE entity SET created_at = other.created_at, value = other.value FROM entity AS other
        WHERE (entity.entity_id, other.entity_id) IN ((400, 401), (401, 400))
        """,
    "a row later by a microsecond": """
        UPDATE entity SET created_at = created_at + interval '1 microsecond' WHERE entity_id = 400
        """,
    "a row deleted": "DELETE FROM entity WHERE entity_id = 400",
    "a row added": """
        INSERT INTO entity (created_at, value) VALUES ('2023-01-31 23:59:59.999999', 5)
        """,
    "a row replaced by one under its id": """
        DELETE FROM entity WHERE entity_id = 400;
        INSERT INTO entity VALUES (400, '2023-01-09', 77)
        """,
    "the month inserted anew under other ids": """
        WITH gone AS (
            DELETE FROM entity WHERE entity_id BETWEEN 301 AND 600 RETURNING created_at, value
        )
        INSERT INTO entity (created_at, value) SELECT created_at, value FROM gone
        """,
    "the month emptied": "DELETE FROM entity WHERE entity_id BETWEEN 301 AND 600",
}


@dataclass(frozen=True)
class Way:
    """From a source to the warehouse, in this process."""

    source_url: str
    source: asyncpg.Connection
    tools: Tools
    sql: asyncpg.Connection

    async def pull(self, span: Span | None = None) -> list[str]:
        """Pulls and loads; gives the months that travelled."""
        shown: list[PulledMonth] = []
        ends: list[End] = []
        _, pulled = await pull(self.tools, self.source_url, span or Span(), shown.append)
        await land(self.tools, pulled, ends.append)
        assert shown == pulled
        assert [load.status for load in loads_of(ends)] == [LoadStatus.LOADED] * len(pulled)
        return [f"{each.month:%Y-%m}" for each in pulled]

    async def rows(self) -> list[Row]:
        """The source's rows."""
        return [tuple(row) for row in await self.source.fetch(ENTITY.format("entity"))]

    async def warehouse(self) -> list[Row]:
        return [tuple(row) for row in await self.sql.fetch(ENTITY.format("warehouse.entity"))]


def loads_of(ends: Iterable[End]) -> list[Load]:
    return [end for end in ends if isinstance(end, Load)]


@pytest.fixture
def source_url(make_database: Callable[..., str]) -> str:
    """Address of a database of its own for the source."""
    return make_database()


@pytest.fixture
async def way(
    source_url: str, settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection
) -> AsyncIterator[Way]:
    """A source with three months, loaded already."""
    source = await asyncpg.connect(source_url)
    await source.execute(
        "CREATE TABLE entity (entity_id bigserial PRIMARY KEY, created_at timestamp, value int)"
    )
    for month in MONTHS:
        first = datetime(month.year, month.month, 1)  # noqa: DTZ001 - as stored
        await source.executemany(
            "INSERT INTO entity (created_at, value) VALUES ($1, $2)",
            [(first + n * HOUR, n * 37 % 91) for n in range(300)],
        )
    tools = Tools(engine, Scripts(schema_names(settings)), settings, all_pipelines())
    yield Way(source_url, source, tools, sql)
    await source.close()


@pytest.mark.parametrize("correction", CORRECTIONS.values(), ids=CORRECTIONS.keys())
async def test_a_correction_comes_through_and_only_its_month_travels(
    correction: str, way: Way
) -> None:
    assert await way.pull() == ["2022-12", "2023-01", "2023-02"]
    before = await way.warehouse()
    assert before == await way.rows()
    await way.source.execute(correction)

    assert await way.pull() == ["2023-01"]

    assert await way.warehouse() == await way.rows()
    assert await way.warehouse() != before
    assert await way.pull() == []


async def test_what_was_corrected_and_corrected_back_travels_each_time(way: Way) -> None:
    await way.pull()
    for step in (1, -1, 1, -1):
        await way.source.execute(f"UPDATE entity SET value = value + {step} WHERE entity_id = 400")

        assert await way.pull() == ["2023-01"]

        assert await way.warehouse() == await way.rows()


async def test_a_row_that_moves_to_another_month_takes_both_along(way: Way) -> None:
    await way.pull()
    await way.source.execute("UPDATE entity SET created_at = '2024-02-29' WHERE entity_id = 400")

    assert await way.pull() == ["2023-01", "2024-02"]

    assert await way.warehouse() == await way.rows()


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (Span.month(date(2023, 1, 1)), ["2023-01"]),
        (Span.month(date(2022, 12, 1)), ["2022-12"]),
        (Span.since(date(2023, 1, 1)), ["2023-01", "2023-02"]),
        (Span.since(date(2023, 3, 1)), []),
        (Span.month(date(2024, 7, 1)), []),
    ],
)
async def test_only_the_months_of_the_span_travel(
    span: Span, expected: list[str], way: Way
) -> None:
    assert await way.pull(span) == expected


async def test_a_source_that_writes_dates_its_own_way_is_read_all_the_same(way: Way) -> None:
    name = await way.source.fetchval("SELECT current_database()")
    await way.source.execute(f"ALTER DATABASE \"{name}\" SET DateStyle = 'German'")
    await way.source.execute(f"ALTER DATABASE \"{name}\" SET TimeZone = 'Asia/Tokyo'")

    await way.pull()

    assert await way.warehouse() == await way.rows()
    assert await way.pull() == []


async def test_what_a_service_took_first_is_found_in_the_ledger(way: Way) -> None:
    _, pulled = await pull(way.tools, way.source_url, Span(), lambda _: None)
    for each in pulled:
        assert each.path
        size = each.path.stat().st_size
        arrival = Arrival(each.path, each.path.name, None, size, datetime.now(UTC))
        await load_file(arrival, way.tools)
    ends: list[End] = []

    await land(way.tools, pulled, ends.append)

    assert [(end.file_name, end.status, end.counts.inserted) for end in loads_of(ends)] == [
        ("entity_2022_12.csv", LoadStatus.LOADED, 300),
        ("entity_2023_01.csv", LoadStatus.LOADED, 300),
        ("entity_2023_02.csv", LoadStatus.LOADED, 300),
    ]
    assert await way.sql.fetchval("SELECT count(*) FROM ops.load") == 3


async def test_a_file_that_someone_took_away_is_said_and_the_others_go_on(way: Way) -> None:
    _, pulled = await pull(way.tools, way.source_url, Span(), lambda _: None)
    assert pulled[1].path
    pulled[1].path.unlink()
    ends: list[End] = []

    await land(way.tools, pulled, ends.append)

    assert [load.file_name for load in loads_of(ends)] == [
        "entity_2022_12.csv",
        "entity_2023_02.csv",
    ]
    assert isinstance(ends[1], RetryableError)
    assert str(ends[1]) == "entity_2023_01.csv was taken away before it was loaded"
