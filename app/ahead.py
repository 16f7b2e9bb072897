"""Looks at the files whose turn comes next, while the loads before them wait for the database."""

from __future__ import annotations

import asyncio

from app import loader
from app.domain import Arrival
from app.examine import SMALL_FILE_BYTES, Examined
from app.loader import Tools

# Each one looked at holds its rows in memory, and its file open.
MOST_FILES = 32


class LookAhead:
    """What was seen of small files before their loads begin; `close` lets go of the rest."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._looks: dict[Arrival, asyncio.Task[Examined]] = {}

    def begin(self, arrival: Arrival | None) -> None:
        """Looks at a file in the background, if it is small and there is one."""
        if arrival is None or arrival.file_bytes > SMALL_FILE_BYTES:
            return
        if arrival not in self._looks and len(self._looks) < MOST_FILES:
            looking = asyncio.create_task(loader.look_at(arrival, self._tools))
            self._looks[arrival] = looking

    async def take(self, arrival: Arrival) -> Examined | None:
        """Gives what was seen of the file, for the caller to close; None where nobody looked.

        Raises what the look raised.
        """
        looking = self._looks.pop(arrival, None)
        return await looking if looking else None

    async def close(self) -> None:
        """Ends the looks under way and closes the files whose turn did not come."""
        looks = list(self._looks.values())
        self._looks.clear()
        for looking in looks:
            looking.cancel()
        for seen in await asyncio.gather(*looks, return_exceptions=True):
            if isinstance(seen, Examined):
                seen.opened.close()
