"""Waiting arrivals in lanes: one load per lane at a time and in order, lanes side by side.

A lane is what only one load may change at a time: a feed, or one month of a feed. So a flood of
one feed's files keeps one worker busy and leaves the others to the other feeds.
"""

from __future__ import annotations

import asyncio
from collections import deque

from app.domain import Arrival


class Lanes:
    """A bounded queue of arrivals that hands out each lane to one worker at a time."""

    def __init__(self, capacity: int) -> None:
        self._waiting: dict[str, deque[Arrival]] = {}
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._room = asyncio.Semaphore(capacity)

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
        self._room.release()
        return lane, self._waiting[lane].popleft()

    def release(self, lane: str) -> None:
        """Says that the lane's load is over."""
        if self._waiting[lane]:
            self._ready.put_nowait(lane)
        else:
            del self._waiting[lane]
