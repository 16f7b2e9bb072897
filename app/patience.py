"""Tries steps again for as long as the database or a disk keeps them from working.

Says once what is waited for, and once that it works again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from app import threads
from app.errors import DatabaseUnreachableError, FileChangedError, FileError, SluiceError
from app.settings import Settings
from app.store import database

log = structlog.get_logger()

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0

Step = Callable[[], Awaitable[object]]
Tell = Callable[[str, float], None]


@dataclass(slots=True)
class Trouble:
    """What a step waits for, and how long until it is tried again: ever longer.

    phrase: what the log calls it. tell: told the reason, each time, and for how many seconds it
    waits; no reason when it is over.
    """

    phrase: str = "waiting"
    tell: Tell = lambda _reason, _seconds: None
    reason: str = ""
    seconds: float = FIRST_WAIT_SECONDS
    is_outage: bool = False

    def note(self, error: SluiceError) -> float:
        """Says once what is waited for; gives the seconds to wait."""
        if str(error) != self.reason and not self._is_told(error):
            self.reason = str(error)
            self.is_outage = isinstance(error, DatabaseUnreachableError)
            log.warning(self.phrase, reason=self.reason)
        seconds, self.seconds = self.seconds, min(2 * self.seconds, LONGEST_WAIT_SECONDS)
        self.tell(self.reason, seconds)
        return seconds

    def _is_told(self, error: SluiceError) -> bool:
        """Whether it is only the next words of an outage, as of a server that restarts.

        An outage that lasts has its newest words told, too.
        """
        lasts = self.seconds >= LONGEST_WAIT_SECONDS
        return self.is_outage and isinstance(error, DatabaseUnreachableError) and not lasts

    def end(self) -> None:
        """Says that it is over, if there was any; the next one is told anew."""
        if self.reason:
            log.info("works again")
            self.tell("", 0.0)
        self.reason, self.is_outage, self.seconds = "", False, FIRST_WAIT_SECONDS


async def until_it_works(step: Step, stop: asyncio.Event, trouble: Trouble | None = None) -> None:
    """Repeats a step, ever more slowly, while the database or the disk keeps it from working.

    Says once what it waits for, and once when it is over. Returns without success when `stop`
    is set. Raises FileError and FileChangedError, which waiting does not mend.

    trouble: what the step waited for before this call.
    """
    await repeat(step, stop, trouble or Trouble(), SluiceError)


async def until_reachable(
    step: Step, stop: asyncio.Event, trouble: Trouble, on_end: Callable[[], None]
) -> None:
    """The same, but only while the database cannot be reached; raises all other trouble.

    on_end: called when the step works after an outage.
    """

    async def noticed() -> None:
        await step()
        if trouble.is_outage:
            on_end()

    await repeat(noticed, stop, trouble, DatabaseUnreachableError)


async def repeat(
    step: Step, stop: asyncio.Event, trouble: Trouble, passing: type[SluiceError]
) -> None:
    """Repeats a step while it raises that kind of error, ever more slowly."""
    while not stop.is_set():
        try:
            await step()
        except (FileError, FileChangedError):
            raise
        except passing as error:
            seconds = trouble.note(error)
        else:
            trouble.end()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()


async def or_revive(step: Step, settings: Settings) -> None:
    """Does a step; before it raises that nobody answers, has the embedded server run again."""
    try:
        await step()
    except DatabaseUnreachableError:
        await threads.run(database.revive, settings)
        raise
