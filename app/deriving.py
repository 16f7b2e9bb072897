"""Refresh and export beside the loads, as the cron sidecar does them in containers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog

from app import grace
from app.errors import SluiceError
from app.export import export
from app.loader import Tools
from app.patience import Trouble, or_revive
from app.refresh import refresh
from app.store import direct
from app.store.engine import driver_connection, driver_errors

log = structlog.get_logger()

DERIVING = "refresh or export has to wait"


async def keep_derived(tools: Tools, stop: asyncio.Event, every_seconds: float) -> None:
    """Refreshes and exports again and again.

    What is under way at the stop has the time of a load under way to end.
    """
    deriving = _keep_deriving(tools, stop, every_seconds)
    await grace.in_time(deriving, stop, tools.engine, "refresh or export given up")


async def _keep_deriving(tools: Tools, stop: asyncio.Event, every_seconds: float) -> None:
    trouble = Trouble(DERIVING)
    while not stop.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(every_seconds):
                await stop.wait()
            return
        await derive(tools, trouble)


async def derive(tools: Tools, trouble: Trouble | None = None) -> None:
    """Refreshes and exports once; what keeps it from that is logged and left to the next time.

    trouble: what was logged the last time, which is not said again.
    """

    async def step() -> None:
        with driver_errors():
            async with direct.connect(tools.engine) as connection:
                await refresh(driver_connection(connection), tools.settings)
                await export(driver_connection(connection), tools.settings)

    trouble = trouble or Trouble(DERIVING)
    with outlived(DERIVING):
        try:
            await or_revive(step, tools.settings)
            trouble.end()
        except SluiceError as error:
            trouble.note(error)


@contextmanager
def outlived(phrase: str) -> Iterator[None]:
    """Logs what goes wrong in a step beside the loads, which must not end for it."""
    try:
        yield
    except SluiceError as trouble:
        log.warning(phrase, reason=str(trouble))
    except Exception:
        log.exception(phrase)
