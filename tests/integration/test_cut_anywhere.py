"""The connection is cut anywhere in a load, a refresh, an export or a batch, and nothing shows it.

A relay counts the bytes of an undisturbed run; then the same is done again and again, cut each
time after some more of them, and tried again as the service does.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import LoadStatus
from app.errors import RetryableError
from app.export import export as write_exports
from app.loader import Tools
from app.pipelines import all_pipelines
from app.pipelines.risk_scores import PIPELINE
from app.refresh import refresh as refresh_tables
from app.settings import Settings
from app.sources.stream import Stream, check, load_batch
from app.store.connection import connected
from app.store.engine import connected_engine, driver_errors
from app.store.scripts import Scripts, schema_names
from tests import proxy
from tests.acceptance.file_contents import (
    entity_csv,
    loans_csv,
    some_loans,
    some_values,
    titles_csv,
)
from tests.acceptance.streams import check_values
from tests.applications import applications_csv, some_applications
from tests.integration.exports_tree import COUNTS, VALUES, assert_tree_is_right
from tests.integration.test_stream_batches import gathered
from tests.integration.warehouse_rows import (
    Warehouse,
    assert_daily_stats_are_right,
    assert_rates_are_right,
)
from tests.loading import Folder
from tests.proxy import Proxy, Trap, Way

T = TypeVar("T")

CUTS = 6
ATTEMPTS = 5
ROWS = 400


@pytest.fixture
async def relay(settings: Settings) -> AsyncIterator[Proxy]:
    """A relay before the test's database."""
    assert settings.database_url
    async with proxy.before(settings.database_url) as relay:
        yield relay


@pytest.fixture
async def relayed(relay: Proxy, settings: Settings) -> AsyncIterator[AsyncEngine]:
    """An engine by way of the relay."""
    async with connected_engine(relay.url, settings) as engine:
        yield engine


async def insist(step: Callable[[], Awaitable[T]]) -> tuple[T, int]:
    """Does a step until nothing keeps it from working; gives how often it was tried, too."""
    said: list[str] = []
    while len(said) < ATTEMPTS:
        try:
            done = await step()
        except RetryableError as trouble:
            said.append(str(trouble))
        else:
            assert set(said) <= {"The database cannot be reached: the connection was lost"}
            return done, 1 + len(said)
    raise AssertionError(f"did not work again: {said}")


@dataclass
class Sweep:
    """Cuts ever later in what is done again and again."""

    relay: Proxy
    again: int = 0
    before: dict[Way, int] = field(default_factory=dict)

    async def measure(self, step: Callable[[], Awaitable[object]]) -> None:
        """Counts the bytes of one undisturbed step."""
        self.before = dict(self.relay.counted)
        await step()
        self.total = {way: self.relay.counted[way] - self.before[way] for way in Way}

    def cuts(self) -> list[Trap]:
        return [
            Trap(way, after_bytes=1 + self.total[way] * number // CUTS)
            for way in Way
            for number in range(CUTS)
        ]

    async def cut(self, trap: Trap, step: Callable[[], Awaitable[T]]) -> T:
        """Does the step with a cut in it, until it works."""
        self.relay.lay(trap)
        done, attempts = await insist(step)
        assert trap.sprung.is_set() or attempts == 1
        self.again += attempts > 1
        return done


Feed = Callable[[int], tuple[str, bytes]]


def loans_version(number: int) -> tuple[str, bytes]:
    return f"loans_{number}.csv", loans_csv(some_loans(ROWS, seed=number))


def titles_version(number: int) -> tuple[str, bytes]:
    return f"titles_{number}.csv", titles_csv({f"title {n}": n + number for n in range(ROWS)})


def entity_version(number: int) -> tuple[str, bytes]:
    """In turns a new month, the same with all values changed, and with one changed."""
    month, turn = divmod(number, 3)
    first = datetime(2000 + month // 12, 1 + month % 12, 1)  # noqa: DTZ001 - the feed has no zone
    values = some_values(ROWS, seed=turn > 0, first=first)
    if turn == 2:
        values[first, 1] += 1
    return f"{number}_entity_{first:%Y-%m}.csv", entity_csv(values)


def scores_version(number: int) -> tuple[str, bytes]:
    rows = some_applications(ROWS, seed=number, first=1 + number * ROWS)
    return f"rejected_{number}.csv", applications_csv(rows)


@pytest.mark.parametrize("version", [loans_version, titles_version, entity_version, scores_version])
async def test_a_load_is_done_once(
    version: Feed, relay: Proxy, relayed: AsyncEngine, settings: Settings, sql: asyncpg.Connection
) -> None:
    folder, straight = Folder(settings, relayed, sql), Sweep(relay)
    await straight.measure(lambda: folder.load(*version(0)))

    for number, trap in enumerate(straight.cuts(), 1):
        name, content = version(number)
        await straight.cut(trap, partial(folder.load, name, content))

        digest = hashlib.sha256(content).hexdigest()
        [first, *others] = await sql.fetch(
            "SELECT status, rows_read FROM ops.load WHERE sha256 = $1 ORDER BY load_id", digest
        )
        assert (first["status"], first["rows_read"]) == (LoadStatus.LOADED, ROWS)
        # Where the cut came after the file was moved away, this dropped it once more.
        assert [each["status"] for each in others] in ([], [LoadStatus.DUPLICATE])
        kept = list(settings.archive_folder.glob(f"*/*/*/*_{name}"))
        assert [each.read_bytes() for each in kept] == [content] * (1 + len(others))

    assert straight.again > CUTS
    assert not list(settings.imports_dir.glob("*.csv"))


async def changed(warehouse: Warehouse, number: int) -> None:
    """Has other numbers in the warehouse, some of the days gone, noted for the next refresh."""
    days = list(VALUES)
    await warehouse.change_values(
        {day: [number, n] if (n + number) % 4 else [] for n, day in enumerate(days)}
    )
    await warehouse.change_loans(
        {day: counts._replace(loans=1000 + number) for day, counts in COUNTS.items()}
    )


async def test_a_refresh_and_an_export_are_right_afterwards(
    relay: Proxy, settings: Settings, sql: asyncpg.Connection
) -> None:
    warehouse, refreshing, exporting = Warehouse(sql), Sweep(relay), Sweep(relay)
    await warehouse.change_values(VALUES)
    await warehouse.change_loans(COUNTS)

    async def refresh() -> None:
        with driver_errors():
            async with connected(relay.url, settings) as connection:
                await refresh_tables(connection, settings)

    async def export() -> None:
        with driver_errors():
            async with connected(relay.url, settings) as connection:
                await write_exports(connection, settings)

    await refreshing.measure(refresh)
    await exporting.measure(export)
    pairs = zip(refreshing.cuts(), exporting.cuts(), strict=True)
    for number, (in_refresh, in_export) in enumerate(pairs):
        await changed(warehouse, number)
        await refreshing.cut(in_refresh, refresh)
        await assert_rates_are_right(warehouse)
        await assert_daily_stats_are_right(warehouse)
        await exporting.cut(in_export, export)
        assert_tree_is_right(settings.exports_dir, warehouse)

    assert refreshing.again > CUTS
    assert exporting.again > CUTS


async def test_a_batch_of_messages_is_loaded_once(
    relay: Proxy, relayed: AsyncEngine, settings: Settings, sql: asyncpg.Connection
) -> None:
    tools = Tools(relayed, Scripts(schema_names(settings)), settings, all_pipelines())
    stream, straight = Stream(tools, PIPELINE, "risk-scores"), Sweep(relay)
    rows = some_applications(ROWS)
    await straight.measure(lambda: load_batch(stream, check(stream, gathered(rows, None))))

    for number, trap in enumerate(straight.cuts(), 1):
        upcoming = some_applications(ROWS, seed=number, first=1 + number * ROWS)
        batch = check(stream, gathered(upcoming, number * ROWS))
        rows += upcoming
        await straight.cut(trap, partial(load_batch, stream, batch))

    assert straight.again > CUTS
    await check_values(sql, rows)
    ledger = await sql.fetch("SELECT status, rows_read, rows_inserted FROM ops.load")
    assert {tuple(line) for line in ledger} == {("loaded", ROWS, ROWS)}
    assert len(ledger) == 2 * CUTS + 1
