"""One micro-batch of a stream, top to bottom: check, compare offsets, append, advance.

The same contract, appending and ledger as for a file. Rows, rejects, the ledger's line
and the offsets are one transaction, in the feed's lane: a crash anywhere leaves all of them or
none, and whoever reads the partition next goes on from what is there.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app import crash_points, reading, threads, turns
from app.crash_points import Point
from app.domain import (
    Appends,
    Arrival,
    Facts,
    Load,
    LoadCounts,
    LoadStatus,
    MessageReject,
    Pipeline,
    Reject,
    Route,
)
from app.loader import Tools
from app.reading import CheckedBatch
from app.sources import messages
from app.sources.topic import Gathered
from app.store import appends, direct, lane_locks, ledger, ranks, stream_offsets
from app.store.engine import driver_connection, driver_errors
from app.store.ledger import Content, Earlier

log = structlog.get_logger()

NEW = Earlier(unfiled=None, same=None, is_running=False)
# Consumers of a group take turns at the lane, a batch each.
FIRST_LANE_PAUSE_SECONDS = 0.005
LONGEST_LANE_PAUSE_SECONDS = 0.1
# Another consumer's batch takes less: then somebody else is to leave the lane free for a moment.
ANNOUNCED_AFTER_SECONDS = 0.5
# Longer than the longest pause of those who wait for the lane.
LET_IN_SECONDS = 0.6


@dataclass(frozen=True, slots=True)
class Stream:
    """A topic on its way into a feed."""

    tools: Tools
    pipeline: Pipeline
    topic: str

    @property
    def lane(self) -> str:
        """Names what only one load may change at a time."""
        return Content(self.pipeline.name, None, "").lane("")

    @property
    def appends_to(self) -> Appends:
        """Where the rows go."""
        if self.pipeline.appends is None:
            raise RuntimeError(f"pipeline {self.pipeline.name} does not append its rows")
        return self.pipeline.appends

    @property
    def name(self) -> str:
        """What the ledger calls its batches."""
        return f"kafka:{self.topic}"


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Messages after their check, in the form the database takes."""

    gathered: Gathered
    arrival: Arrival
    sha256: str
    columns: list[str]
    checked: CheckedBatch[pl.DataFrame]


async def look_up(stream: Stream, partitions: tuple[int, ...]) -> dict[int, int]:
    """Gives the offset that each partition is to be read from; none for one never read."""
    with driver_errors():
        async with direct.connect(stream.tools.engine) as connection:
            driver = driver_connection(connection)
            return await stream_offsets.read(driver, stream.tools.scripts, stream.topic, partitions)


async def load_batch(stream: Stream, batch: MicroBatch) -> Load | None:
    """Brings messages into the warehouse, exactly once; None when they are there already.

    Raises RetryableError when the same has to be tried again later.
    """
    began = time.monotonic()
    crash_points.reach(Point.GATHERED)
    with driver_errors():
        async with in_lane(stream.tools.engine, stream.lane) as connection:
            load = await commit(connection, stream, batch)
            crash_points.reach(Point.BATCH_COMMITTED)
            if load:
                report(stream, load, time.monotonic() - began)
    return load


async def commit(connection: AsyncConnection, stream: Stream, batch: MicroBatch) -> Load | None:
    """Brings a batch in, in one transaction."""
    async with direct.transaction(connection):
        return await bring_in(connection, stream, batch)


def check(stream: Stream, gathered: Gathered) -> MicroBatch:
    """Reads the messages and checks them against the feed's contract. Blocks."""
    now = datetime.now(UTC)
    today = now.astimezone().date()
    route = Route(stream.pipeline, Facts(None, as_of=today, today=today), messages.COLUMNS)
    contract = stream.pipeline.contract(route.facts)
    columns = [name for name in contract.column_names() if name != "line_number"]
    values = [message.value or b"" for message in gathered.messages]
    return MicroBatch(
        gathered=gathered,
        arrival=Arrival(
            path=Path(stream.name),
            name=stream.name,
            folder=None,
            file_bytes=sum(map(len, values)),
            discovered_at=now,
        ),
        sha256=hashlib.sha256(b"".join(values)).hexdigest(),
        columns=columns,
        checked=reading.check_batch(
            messages.as_batch(gathered.messages),
            route,
            contract,
            columns,
            lambda frame: frame,
            lambda _rejects: None,
        ),
    )


@asynccontextmanager
async def in_lane(engine: AsyncEngine, lane: str) -> AsyncIterator[AsyncConnection]:
    """Gives a connection that holds the lane; leaves it free for a moment if others wait for it.

    After an error the connection is closed, which also gives the lane back.
    """
    async with direct.connect(engine) as connection:
        try:
            await take_turn(connection, lane)
            yield connection
            await lane_locks.give_back(connection, lane)
            is_wanted = await lane_locks.is_wanted(connection, lane)
        except BaseException:
            with suppress(Exception):
                await connection.invalidate()
            raise
    if is_wanted:
        await asyncio.sleep(LET_IN_SECONDS)


async def take_turn(connection: AsyncConnection, lane: str) -> None:
    """Takes the lane as soon as it is free; says once when that takes long."""
    until = time.monotonic() + ANNOUNCED_AFTER_SECONDS
    seconds = FIRST_LANE_PAUSE_SECONDS
    is_announced = False
    while not await lane_locks.take(connection, lane):
        if not is_announced and time.monotonic() > until:
            log.info("waiting", reason=await turns.why_taken(connection, lane))
            await lane_locks.announce(connection, lane)
            is_announced = True
        await asyncio.sleep(seconds)
        seconds = min(2 * seconds, LONGEST_LANE_PAUSE_SECONDS)
    if is_announced:
        await lane_locks.withdraw(connection, lane)


async def bring_in(connection: AsyncConnection, stream: Stream, batch: MicroBatch) -> Load | None:
    """Writes a batch with its ledger line and its offsets, in the caller's transaction.

    Writes nothing, and gives None, when the offsets are not those the batch was read from.
    """
    scripts, driver = stream.tools.scripts, driver_connection(connection)
    gathered, checked = batch.gathered, batch.checked
    if not await stream_offsets.hold(driver, scripts, stream.topic, gathered.starts):
        return None
    crash_points.reach(Point.OFFSETS_HELD)
    content = Content(stream.pipeline.name, None, batch.sha256, is_appended=True)
    load_id, _attempts = await ledger.claim(connection, batch.arrival, content, NEW)
    if checked.rows_staged:
        await append(connection, stream, batch, load_id)
    rejects = [placed(each, stream.topic, gathered) for each in checked.rejects]
    await stream_offsets.keep_rejects(driver, scripts, load_id, rejects)
    await stream_offsets.advance(driver, scripts, stream.topic, gathered.ends, load_id)
    counts = LoadCounts(
        read=len(gathered.messages), inserted=checked.rows_staged, rejected=len(rejects)
    )
    load = await ledger.end(connection, load_id, LoadStatus.LOADED, counts)
    await ledger.record_filed(connection, load_id, None)
    # The ledger relaxes it for notes of its own; here it is the commit of the rows.
    await driver.execute("SET LOCAL synchronous_commit TO DEFAULT")
    crash_points.reach(Point.ADVANCED)
    return load


async def append(
    connection: AsyncConnection, stream: Stream, batch: MicroBatch, load_id: int
) -> None:
    """Adds the good rows after all others, in the order they arrived, with their features."""
    scripts, checked = stream.tools.scripts, batch.checked
    await appends.copy_rows(
        connection,
        scripts,
        stream.appends_to,
        load_id,
        batch.columns,
        threads.at_hand([checked.formed]),
        ranks.ByLine(appends.first_id(load_id)),
    )
    if stream.pipeline.follow:
        appended = appends.appended(load_id, checked.rows_staged)
        await stream.pipeline.follow(driver_connection(connection), scripts, appended)


def placed(reject: Reject, topic: str, gathered: Gathered) -> MessageReject:
    """Adds to a reject where its message stands in the topic."""
    message = gathered.messages[reject.line_number - 1]
    return MessageReject.of(reject, topic, message.partition, message.offset)


def report(stream: Stream, load: Load, seconds: float) -> None:
    """Logs what came of a batch, in one line."""
    facts = {"load_id": load.load_id, "topic": stream.topic, "seconds": round(seconds, 3)}
    log.info("batch loaded", **asdict(load.counts), **facts)
