"""One load, top to bottom: examine, claim, stage and merge in one transaction, file away.

Only this module knows the order of the steps. A crash anywhere leaves the old state or the new
one, and the same call again finishes or repeats the work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from structlog.contextvars import bind_contextvars

from app import crash_points, files, threads, turns
from app.crash_points import Point
from app.domain import Arrival, Fault, Load, LoadCounts, LoadStatus, Pipeline
from app.errors import ConfigError, FileChangedError, FileError, RetryableError, SluiceError
from app.examine import (
    Examined,
    examine,
    require_as_examined,
    require_in_place,
    require_unchanged,
    with_rows,
)
from app.filing import file_away
from app.kept import find_earlier
from app.known_copies import KnownCopies
from app.readers import Limits
from app.reading import Progress, Reading
from app.settings import Settings
from app.store import direct, lane_locks, ledger, warehouse
from app.store.engine import describe, driver_error, driver_errors
from app.store.months import Month
from app.store.rejects import RejectSpool
from app.store.scripts import Scripts

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tools:
    """What every load needs."""

    engine: AsyncEngine
    scripts: Scripts
    settings: Settings
    pipelines: Sequence[Pipeline]
    copies: KnownCopies = field(default_factory=KnownCopies)


@dataclass(frozen=True, slots=True)
class Order:
    """How one load differs from the ordinary one.

    force: load even what was loaded before. keep_source: leave the file where it is and keep a
    copy, for files outside imports/. on_progress: told how many bytes are read so far.
    """

    force: bool = False
    keep_source: bool = False
    on_progress: Progress = lambda _bytes_read: None


ORDINARY = Order()


async def load_file(arrival: Arrival, tools: Tools, order: Order = ORDINARY) -> Load:
    """Brings one complete file into the warehouse, exactly once, and files it away.

    Returns how it ended. Raises RetryableError when it has to be tried again later, with the
    file still in place, and ConfigError when the settings keep it from working.
    """
    return await load_examined(await look_at(arrival, tools), tools, order)


async def look_at(arrival: Arrival, tools: Tools) -> Examined:
    """Opens a file and examines it; the caller closes it. Raises as `load_file` does."""
    stopped = threading.Event()
    return await threads.run_until(stopped, open_and_read, arrival, tools, stopped)


def open_and_read(arrival: Arrival, tools: Tools, stopped: threading.Event) -> Examined:
    """The same, in a thread. Blocks."""
    return with_rows([open_and_examine(arrival, tools, stopped)])[0]


def open_and_examine(arrival: Arrival, tools: Tools, stopped: threading.Event) -> Examined:
    """The same, without a small file's rows. Blocks."""
    opened = files.open_file(arrival.path)
    try:
        limits = Limits.of(tools.settings)
        return examine(arrival, opened, tools.pipelines, tools.copies, limits, stopped)
    except BaseException:
        opened.close()
        raise


async def load_examined(examined: Examined, tools: Tools, order: Order = ORDINARY) -> Load:
    """Brings an examined file in, as `load_file` does, and closes it."""
    began = time.monotonic()
    crash_points.reach(Point.EXAMINED)
    with examined.opened, driver_errors():
        bind_contextvars(file=examined.arrival.name, pipeline=examined.content.pipeline)
        async with in_lane(tools.engine, examined) as connection:
            crash_points.reach(Point.LANE_TAKEN)
            require_in_place(examined)
            load = await settle(connection, examined, tools, order)
            crash_points.reach(Point.SETTLED)
            load = await file_away(
                connection, load, examined, tools.settings, keep_source=order.keep_source
            )
            crash_points.reach(Point.FILED)
    if load.filed_path:
        tools.copies.remember(Path(load.filed_path), examined.identity, examined.content.sha256)
    report(load, examined.seconds + time.monotonic() - began)
    return load


@asynccontextmanager
async def in_lane(engine: AsyncEngine, examined: Examined) -> AsyncIterator[AsyncConnection]:
    """Gives a connection that holds the lock of the file's pipeline and scope.

    After an error the connection is closed, which also gives the lock back. Raises RetryableError
    when another service keeps the lane for very long.
    """
    lane = examined.content.lane(examined.arrival.name)
    async with direct.connect(engine) as connection:
        try:
            await turns.wait_for_lane(connection, lane)
            yield connection
            await lane_locks.give_back(connection, lane)
        except BaseException:
            with suppress(Exception):
                await connection.invalidate()
            raise


async def settle(
    connection: AsyncConnection, examined: Examined, tools: Tools, order: Order
) -> Load:
    """Finds out what is left to do for the file, and does it; the file itself stays in place."""
    arrival, content = examined.arrival, examined.content
    earlier = await find_earlier(
        connection,
        arrival,
        content,
        examined.opened,
        tools.settings,
        keep_source=order.keep_source,
    )
    if earlier.unfiled and not order.force:
        return await ledger.read(connection, earlier.unfiled)
    if earlier.same and not (order.force or examined.fault):
        return await ledger.record_duplicate(connection, arrival, content, of=earlier.same)
    load_id, attempts = await ledger.claim(connection, arrival, content, earlier)
    crash_points.reach(Point.CLAIMED)
    bind_contextvars(load_id=load_id)
    again = {"attempt": attempts} if attempts > 1 else {}
    log.info("load started", scope=content.scope, file_bytes=arrival.file_bytes, **again)
    return await attempt(connection, load_id, examined, tools, order)


async def attempt(
    connection: AsyncConnection, load_id: int, examined: Examined, tools: Tools, order: Order
) -> Load:
    """Runs a claimed load to its end; a fault of the file ends it too, and so does a bug of ours.

    Trouble that passes by itself leaves the load `running` in the ledger, to be taken up again.
    """
    with RejectSpool(load_id, tools.settings.max_kept_rejects) as rejects:
        try:
            with changes_first(examined), driver_errors():
                return await bring_in(connection, load_id, examined, rejects, tools, order)
        except FileChangedError as changed:
            await end_badly(connection, load_id, LoadStatus.FAILED, str(changed), file_stays=True)
            raise
        except FileError as fault:
            refused = LoadStatus.QUARANTINED
            return await end_badly(connection, load_id, refused, str(fault), rejects, fault)
        except SluiceError:
            raise
        except Exception as bug:
            log.exception("load failed")
            reason = f"Not the file's fault: {type(driver_error(bug)).__name__}: {describe(bug)}"
            return await end_badly(connection, load_id, LoadStatus.FAILED, reason)


@contextmanager
def changes_first(examined: Examined) -> Iterator[None]:
    """Blames what goes wrong with a file that was written to meanwhile on the writing.

    Raises FileChangedError then; the same trouble with a file that stands still passes through.
    """
    try:
        yield
    except (RetryableError, ConfigError):
        raise
    except Exception:
        require_unchanged(examined)
        raise


async def bring_in(
    connection: AsyncConnection,
    load_id: int,
    examined: Examined,
    rejects: RejectSpool,
    tools: Tools,
    order: Order,
) -> Load:
    """Brings the file's rows in and writes the load's end, all in one transaction."""
    async with direct.transaction(connection):
        counts = await bring_rows(connection, load_id, examined, rejects, tools, order)
        load = await ledger.end(connection, load_id, LoadStatus.LOADED, counts)
        crash_points.reach(Point.ENDED)
    crash_points.reach(Point.COMMITTED)
    return load


async def bring_rows(
    connection: AsyncConnection,
    load_id: int,
    examined: Examined,
    rejects: RejectSpool,
    tools: Tools,
    order: Order = ORDINARY,
) -> LoadCounts:
    """Stages, checks and merges the file's rows, inside the load's transaction.

    Raises FileError for what is the file's own fault, FileChangedError when it was written to.
    """
    reader, route = examined.require_route()
    reading = Reading(reader, route, rejects, tools.settings, order.on_progress, examined.small)
    month = Month(connection, tools.scripts, route.pipeline, route.facts, load_id)
    async with warehouse.prepared(month, reading.contract, reading.rows) as rows:
        await require_as_examined(examined)
        crash_points.reach(Point.STAGED)
        merged = await rows.merge(reading.tally)
    crash_points.reach(Point.MERGED)
    await rejects.copy_into(connection)
    return replace(merged, read=reading.tally.rows_read, rejected=rejects.count)


async def end_badly(
    connection: AsyncConnection,
    load_id: int,
    status: LoadStatus,
    reason: str,
    rejects: RejectSpool | None = None,
    refused_for: FileError | None = None,
    *,
    file_stays: bool = False,
) -> Load:
    """Writes a quarantined or failed end, with rejects; every row read counts as rejected.

    file_stays: the file is left in imports/, for another load of what it holds then.
    """
    async with direct.transaction(connection):
        counts = LoadCounts()
        if rejects:
            kept = await rejects.copy_of_refused(connection)
            reason += says_of_kept(kept, rejects.count)
            counts = LoadCounts(read=rejects.rows_seen, rejected=rejects.rows_seen)
        fault = parts_of(refused_for) if refused_for else None
        load = await ledger.end(connection, load_id, status, counts, reason, fault)
        if file_stays:
            await ledger.record_filed(connection, load_id, None)
        crash_points.reach(Point.REFUSED)
        return load


def says_of_kept(kept: int, count: int) -> str:
    """Adds to the reason of a refused file that not all of its rejects are in the ledger."""
    if kept == count:
        return ""
    return (
        f" Only the first {kept} of the {count} bad rows are kept (MAX_KEPT_REJECTS); the whole"
        " file is in the quarantine."
    )


def parts_of(error: FileError) -> Fault:
    """Gives what the ledger keeps of an error, for the note beside the file."""
    return Fault(error.found, error.expected, error.remedy, error.line_number)


def report(load: Load, seconds: float) -> None:
    """Logs how the load ended, in one line."""
    facts = {"load_id": load.load_id, "seconds": round(seconds, 3)}
    if load.status is LoadStatus.LOADED:
        log.info("load finished", **asdict(load.counts), **facts)
    elif load.status is LoadStatus.DUPLICATE:
        log.info("file is a duplicate", reason=load.error, **facts)
    else:
        log.error(f"file {load.status}", reason=load.error, filed_path=load.filed_path, **facts)
