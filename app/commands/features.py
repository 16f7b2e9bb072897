"""Versions of features: shown, activated, rolled back, compared, computed for earlier rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date

import asyncpg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.ext.asyncio import AsyncConnection

from app import crash_points, turns
from app.crash_points import Point
from app.errors import ConfigError
from app.features import backfill as chunks
from app.features import comparison, registry, versions
from app.features.comparison import Comparison
from app.features.definitions import Definition, definition_of
from app.features.versions import Activation, RolledBack, Version
from app.session import Session
from app.store import direct, lane_locks
from app.store.engine import driver_connection, driver_errors

# What loads of the feed hold too, whatever their years.
FEED = "risk_scores"
LANE = f"{FEED}/"
# Longer than a load that waits for the lane lets pass before it asks again.
LET_IN_SECONDS = 1.2 * turns.LONGEST_LANE_PAUSE_SECONDS


Say = Callable[[str], None]


def unheard(_line: str) -> None:
    """Says a line where nobody listens."""


@dataclass(frozen=True, slots=True)
class Activated:
    """was_active: it had been the active version before. rows_missing: rows without its values."""

    was_active: bool
    rows_missing: int


@dataclass(frozen=True, slots=True)
class Backfilled:
    """How a backfill ended.

    rows: how many were looked at. rows_written: how many of them had no values before.
    rows_missing: how many of all applications have none now.
    """

    rows: int
    rows_written: int
    rows_missing: int


async def read_versions(session: Session) -> list[Version]:
    """Gives every registered version."""
    async with connected(session) as connection:
        return await versions.read_all(driver_connection(connection), session.tools.scripts)


async def read_version(session: Session, number: int) -> tuple[Version, Sequence[Activation]]:
    """Gives one version, and when it became active. Raises ConfigError for an unknown one."""
    async with connected(session) as connection:
        driver, scripts = driver_connection(connection), session.tools.scripts
        known = {each.version: each for each in await versions.read_all(driver, scripts)}
        if number not in known:
            numbers = ", ".join(map(str, known)) or "none"
            raise ConfigError(f"There is no version {number} of the features; there are {numbers}")
        return known[number], await versions.activations(driver, scripts, number)


async def activate(session: Session, number: int, say: Say = unheard) -> Activated:
    """Makes a version the active one, between two loads; says what it waits for."""
    definition_of(number)
    scripts = session.tools.scripts
    waits = waiting_for(session, say)
    async with connected(session) as connection, in_lane(connection, waits) as driver:
        was_active = (await registry.active(driver, scripts)).version == number
        if not was_active:
            await versions.require_same(driver, scripts, number)
            await registry.activate(driver, scripts, number)
        return Activated(was_active, await versions.rows_missing(driver, scripts, number))


async def roll_back(session: Session, say: Say = unheard) -> tuple[RolledBack, int]:
    """Goes back to the version that was active before; gives how many rows have none of it too."""
    scripts = session.tools.scripts
    waits = waiting_for(session, say)
    async with connected(session) as connection, in_lane(connection, waits) as driver:
        done = await versions.roll_back(driver, scripts)
        return done, await versions.rows_missing(driver, scripts, done.active)


async def compare(session: Session, first: int, second: int) -> Comparison:
    """Compares the values of two versions."""
    if first == second:
        raise ConfigError(f"Version {first} is equal to itself: name two versions")
    one, other = definition_of(first), definition_of(second)
    async with connected(session) as connection:
        driver, scripts = driver_connection(connection), session.tools.scripts
        return await comparison.compare(driver, scripts, one, other)


async def backfill(
    session: Session, number: int, from_day: date | None, screen: Console
) -> Backfilled | None:
    """Computes a version for the rows that have none of it, with a progress bar at a terminal.

    Each chunk of rows is a transaction of its own, and loads go on in between; rows that they add
    meanwhile are computed too. None when no application is of that day or a later one.
    """
    definition = definition_of(number)
    scripts = session.tools.scripts
    async with connected(session) as connection:
        driver = driver_connection(connection)
        await versions.require_same(driver, scripts, number)
        start = await chunks.find_start(driver, scripts, from_day)
        if start is None:
            return None
        with progress_bar(screen) as progress:
            task = progress.add_task(f"version {number}", total=start.rows)
            rows = rows_written = 0
            after_id = start.after_id
            while filled := await fill_next(session, connection, definition, after_id):
                crash_points.reach(Point.CHUNK_COMMITTED)
                chunk, written = filled
                after_id = chunk.last_id
                rows, rows_written = rows + chunk.rows, rows_written + written
                progress.update(task, completed=rows, total=max(rows, start.rows))
                await let_others_in(connection)
        rows_missing = await versions.rows_missing(driver, scripts, number)
        return Backfilled(rows, rows_written, rows_missing)


async def fill_next(
    session: Session, connection: AsyncConnection, definition: Definition, after_id: int
) -> tuple[chunks.Chunk, int] | None:
    """Computes one chunk and commits it; refused once its definition is another one."""
    async with in_lane(connection) as driver:
        await versions.require_same(driver, session.tools.scripts, definition.version)
        return await chunks.fill_next(driver, session.tools.scripts, definition, after_id)


async def let_others_in(connection: AsyncConnection) -> None:
    """Leaves the lane free for as long as a load that waits for it needs to see that."""
    if await lane_locks.is_wanted(connection, LANE):
        await asyncio.sleep(LET_IN_SECONDS)


@asynccontextmanager
async def connected(session: Session) -> AsyncIterator[AsyncConnection]:
    """Gives a connection on which statements outside of `in_lane` commit by themselves."""
    with driver_errors():
        async with direct.connect(session.tools.engine) as connection:
            yield connection


def waiting_for(session: Session, say: Say) -> Callable[[], Awaitable[None]]:
    """Gives what says, in a line, what keeps the lane."""

    async def tell() -> None:
        async with connected(session) as connection:
            load = await driver_connection(connection).fetchrow(
                *session.tools.scripts.call("features/load_at_work", pipeline=FEED)
            )
        what = "a batch of a stream, or a chunk of a backfill,"
        if load:
            since = f"{load['started_at']:%H:%M:%S} UTC"
            what = f"load {load['load_id']} of {load['file_name']}, at work since {since},"
        say(f"Waiting for {what} to end.")

    return tell


@asynccontextmanager
async def in_lane(
    connection: AsyncConnection,
    when_it_takes_long: Callable[[], Awaitable[None]] = turns.say_nothing,
) -> AsyncIterator[asyncpg.Connection]:
    """One transaction while no load of the feed runs; waits for one that does.

    After an error the lane stays taken until the connection is closed.
    """
    await turns.wait_for_lane(connection, LANE, when_it_takes_long)
    async with direct.transaction(connection):
        yield driver_connection(connection)
    await lane_locks.give_back(connection, LANE)


def progress_bar(screen: Console) -> Progress:
    """Gives a bar that shows how many rows are done, and nothing where nobody looks."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )
