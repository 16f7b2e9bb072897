"""What the service takes: memory, open files and connections, and whether they grow.

A load takes memory and gives it back, so single readings say little. What is judged is one life of
the service: the warm-up is left out, the rest is cut into windows, and each window gives the level
that a quarter of its readings stay below. The slope between windows is Theil and Sen's, the median
of the slopes of all pairs, which a few odd windows cannot move.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median, quantiles

import asyncpg

APPLICATION = "sluice"
WARM_UP_SHARE = 0.3
WINDOWS = 10
FEWEST_READINGS = 40
HEADER = "at,life,memory_mb,handles,connections"


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the service. connections: None while the server could not be asked."""

    at: float
    life: int
    memory_mb: float
    handles: int
    connections: int | None

    @property
    def line(self) -> str:
        """The reading as a line of CSV."""
        values = (self.at, self.life, self.memory_mb, self.handles, self.connections)
        return ",".join("" if each is None else f"{each:g}" for each in values)


@dataclass(frozen=True, slots=True)
class Trend:
    """How a level moved: where it was after the warm-up and at the end, and by how much it grew."""

    first: float
    last: float
    growth: float
    highest: float


def read_process(pid: int) -> tuple[float, int]:
    """Resident memory in MB, and the number of open file descriptors."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = int(status.split("VmRSS:")[1].split()[0])
    return kilobytes / 1024, len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def count_connections(url: str) -> int | None:
    """The sessions that the service and its commands hold; None when nobody answers."""
    try:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            found: int = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", APPLICATION
            )
            return found
        finally:
            await connection.close(timeout=5)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        return None


async def look(pid: int, life: int, url: str) -> Reading | None:
    """One reading; None when the service ended meanwhile."""
    connections = await count_connections(url)
    try:
        memory_mb, handles = read_process(pid)
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None
    return Reading(time.monotonic(), life, memory_mb, handles, connections)


def trend(values: Sequence[float]) -> Trend | None:
    """How a level moved over equally spaced readings; None when they are too few to tell."""
    settled = values[round(WARM_UP_SHARE * len(values)) :]
    if len(settled) < FEWEST_READINGS:
        return None
    size = len(settled) / WINDOWS
    windows = [settled[round(n * size) : round((n + 1) * size)] for n in range(WINDOWS)]
    levels = [quantiles(window, n=4, method="inclusive")[0] for window in windows]
    slopes = [(b - a) / (j - i) for (i, a), (j, b) in combinations(enumerate(levels), 2)]
    return Trend(levels[0], levels[-1], median(slopes) * (WINDOWS - 1), max(values))


def longest_life(readings: Sequence[Reading]) -> list[Reading]:
    """The readings of the life that has the most of them."""
    lives = {reading.life for reading in readings}
    return max(
        ([each for each in readings if each.life == life] for life in lives), key=len, default=[]
    )
