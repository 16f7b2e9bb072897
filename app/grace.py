"""Gives what is under way some time to end after a stop, whether the database answers or not."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.engine import hang_up

log = structlog.get_logger()

# Together with the rollback, the last answers of idle connections and the program's own end this
# stays below the promised 10 seconds.
GRACE_SECONDS = 6.0
ROLLBACK_SECONDS = 1.0


async def in_time(
    work: Coroutine[object, object, None],
    stop: asyncio.Event,
    engine: AsyncEngine,
    given_up: str,
) -> None:
    """Does work that ends by itself once `stop` is set; gives it up when that takes too long.

    given_up: what the log calls that. Errors of the work arrive in a group.
    """
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(work)
        stopping = tasks.create_task(stop.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({working}, timeout=GRACE_SECONDS)
        stopping.cancel()
        if not working.done():
            log.warning(given_up)
            await give_up({working}, engine)


async def give_up(tasks: Collection[asyncio.Task[None]], engine: AsyncEngine) -> None:
    """Cancels tasks, which roll back; where the server does not answer, hangs up on it.

    Then all connections of the engine are gone, so that nothing waits for them any more.
    """
    for task in tasks:
        task.cancel()
    _ended, stuck = await asyncio.wait(tasks, timeout=ROLLBACK_SECONDS)
    if stuck:
        hang_up(engine)
