"""Waits for a lane that another load, or whoever changes the same rows, has taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import RetryableError
from app.store import lane_locks

log = structlog.get_logger()

FIRST_LANE_PAUSE_SECONDS = 0.02
LONGEST_LANE_PAUSE_SECONDS = 0.5
LONGEST_LANE_WAIT_SECONDS = 600.0


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
        reason = f"Another service loads into {lane}"
        if time.monotonic() > until:
            raise RetryableError(f"{reason}; it has kept others waiting for minutes")
        if seconds == FIRST_LANE_PAUSE_SECONDS:
            log.info("waiting", reason=reason)
            await lane_locks.announce(connection, lane)
        await asyncio.sleep(seconds)
        if seconds < LONGEST_LANE_PAUSE_SECONDS <= 2 * seconds:
            await when_it_takes_long()
        seconds = min(2 * seconds, LONGEST_LANE_PAUSE_SECONDS)
    if seconds > FIRST_LANE_PAUSE_SECONDS:
        await lane_locks.withdraw(connection, lane)
