"""Looks at the files whose turn comes next, while the loads before them wait for the database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence

from app import threads
from app.domain import Arrival
from app.examine import Examined, with_rows
from app.loader import Tools, open_and_examine
from app.small_files import SMALL_FILE_BYTES

# Each one looked at holds its rows in memory, and its file open.
MOST_FILES = 128

Looks = dict[Arrival, Examined | Exception]


class LookAhead:
    """What was seen of small files before their loads begin; `close` lets go of the rest."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._stopped = threading.Event()
        self._looks: dict[Arrival, asyncio.Task[Looks]] = {}

    def begin(self, arrivals: Sequence[Arrival]) -> None:
        """Looks at files in the background, as far as they are small."""
        fresh = [
            each
            for each in arrivals
            if each.file_bytes <= SMALL_FILE_BYTES and each not in self._looks
        ]
        if fresh and len(self._looks) + len(fresh) <= MOST_FILES:
            looking = asyncio.create_task(threads.run(self._look_at, fresh))
            self._looks |= dict.fromkeys(fresh, looking)

    def _look_at(self, arrivals: Sequence[Arrival]) -> Looks:
        """Gives what was seen of each file, or what went wrong. Blocks."""
        seen: Looks = {}
        opened: dict[Arrival, Examined] = {}
        for arrival in arrivals:
            try:
                opened[arrival] = open_and_examine(arrival, self._tools, self._stopped)
            except Exception as error:  # raised again when the file's turn comes
                seen[arrival] = error
        return seen | dict(zip(opened, with_rows([*opened.values()]), strict=True))

    async def _peek(self, arrival: Arrival) -> Examined | Exception | None:
        looking = self._looks.get(arrival)
        return (await asyncio.shield(looking))[arrival] if looking else None

    async def see_all(self, arrivals: Iterable[Arrival]) -> list[Examined]:
        """Gives what was seen of files, up to the first without; they stay open here."""
        seen: list[Examined] = []
        for arrival in arrivals:
            if not isinstance(examined := await self._peek(arrival), Examined):
                break
            seen.append(examined)
        return seen

    async def take(self, arrival: Arrival) -> Examined | None:
        """Gives what was seen of the file, for the caller to close; None where nobody looked.

        Raises what the look raised.
        """
        seen = await self._peek(arrival)
        self._looks.pop(arrival, None)
        if isinstance(seen, Exception):
            raise seen
        return seen

    async def let_go(self, arrivals: Iterable[Arrival]) -> None:
        """Closes files whose loads are over."""
        for arrival in arrivals:
            if seen := await self.take(arrival):
                seen.opened.close()

    async def close(self) -> None:
        """Ends the looks under way and closes the files whose turn did not come."""
        self._stopped.set()
        looks, self._looks = self._looks, {}
        for arrival, looking in looks.items():
            seen = (await looking)[arrival]
            if isinstance(seen, Examined):
                seen.opened.close()
