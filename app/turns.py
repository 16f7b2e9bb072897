"""Waits for a lane that another load, or whoever changes the same rows, has taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import RetryableError
from app.store import lane_locks
from app.store.direct import Query

log = structlog.get_logger()

FIRST_LANE_PAUSE_SECONDS = 0.02
LONGEST_LANE_PAUSE_SECONDS = 0.5
LONGEST_LANE_WAIT_SECONDS = 600.0
# PostgreSQL keeps the two halves of an advisory lock's key apart.
HOLDER = Query(
    """
    SELECT pid
    FROM pg_locks
    WHERE locktype = 'advisory'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid = ($1::bigint >> 32 & 4294967295)::oid
        AND objid = ($1::bigint & 4294967295)::oid
        AND objsubid = 1
        AND granted
    """,
    ("key",),
    {},
)


async def say_nothing() -> None:
    """Leaves it at the line in the log."""


async def wait_for_lane(
    connection: AsyncConnection,
    lane: str,
    when_it_takes_long: Callable[[], Awaitable[None]] = say_nothing,
) -> None:
    """Takes the lane as soon as it is free; says once that it waits.

    Asks again and again, as a statement that waits would hold a snapshot all the while.
    when_it_takes_long: called once, where somebody looks at a screen and sees no log.
    """
    until = time.monotonic() + LONGEST_LANE_WAIT_SECONDS
    seconds = FIRST_LANE_PAUSE_SECONDS
    while not await lane_locks.take(connection, lane):
        if time.monotonic() > until:
            reason = await why_taken(connection, lane)
            raise RetryableError(f"{reason}; it has kept others waiting for minutes")
        if seconds == FIRST_LANE_PAUSE_SECONDS:
            log.info("waiting", reason=await why_taken(connection, lane))
            await lane_locks.announce(connection, lane)
        await asyncio.sleep(seconds)
        if seconds < LONGEST_LANE_PAUSE_SECONDS <= 2 * seconds:
            await when_it_takes_long()
        seconds = min(2 * seconds, LONGEST_LANE_PAUSE_SECONDS)
    if seconds > FIRST_LANE_PAUSE_SECONDS:
        await lane_locks.withdraw(connection, lane)


async def why_taken(connection: AsyncConnection, lane: str) -> str:
    """Says who may have the lane, which the server does not tell apart, and what to do."""
    holders = await HOLDER.rows(connection, key=lane_locks.lock_key(lane))
    if not holders:
        return f"Another service loaded into {lane} a moment ago"
    pid = holders[0]["pid"]
    return (
        f"Another service loads into {lane}, or the server has not noticed yet that a connection of"
        f" this one was lost, which it does after some minutes. Backend {pid} holds {lane};"
        f" `SELECT pg_terminate_backend({pid})` ends it, and its load is done again"
    )
