"""Waiting arrivals in lanes: one load per lane at a time and in order, lanes side by side.

A lane is what only one load may change at a time: a feed, or one month of a feed. So a flood of
one feed's files keeps one worker busy and leaves the others to the other feeds. Only the number of
all arrivals is bounded: whoever puts waits when that is reached, whatever lane it is for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice

from app.domain import Arrival


class Lanes:
    """A bounded queue of arrivals that hands out each lane to one worker at a time."""

    def __init__(self, capacity: int) -> None:
        self._waiting: dict[str, deque[Arrival]] = {}
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._room = asyncio.Semaphore(capacity)
        # Lanes whose next arrival takes no room, as it was taken out before.
        self._put_back: set[str] = set()

    async def put(self, lane: str, arrival: Arrival) -> None:
        """Adds an arrival; waits while the queue is full."""
        await self._room.acquire()
        if lane in self._waiting:
            self._waiting[lane].append(arrival)
            return
        self._waiting[lane] = deque([arrival])
        self._ready.put_nowait(lane)

    async def take(self) -> tuple[str, Arrival]:
        """Gives the next arrival of a lane that nobody works on; the caller releases the lane."""
        lane = await self._ready.get()
        if lane in self._put_back:
            self._put_back.remove(lane)
        else:
            self._room.release()
        return lane, self._waiting[lane].popleft()

    def next_of(self, lane: str, most: int) -> list[Arrival]:
        """Gives the arrivals that the lane hands out next, and leaves them there."""
        return list(islice(self._waiting[lane], most))

    def skip(self, lane: str, count: int) -> None:
        """Drops the arrivals that the lane would hand out next; for the one who works on it."""
        for _ in range(count):
            self._waiting[lane].popleft()
            self._room.release()

    def release(self, lane: str) -> None:
        """Says that the lane's load is over."""
        if self._waiting[lane]:
            self._ready.put_nowait(lane)
        else:
            del self._waiting[lane]

    def put_back(self, lane: str, arrival: Arrival, *, after_seconds: float) -> None:
        """Has the lane hand out the same arrival again, and nothing before it, after that time.

        For the one who took it, in place of a release. It needs no room, so it never waits.
        """
        self._waiting[lane].appendleft(arrival)
        self._put_back.add(lane)
        asyncio.get_running_loop().call_later(after_seconds, self._ready.put_nowait, lane)
