"""What goes wrong meanwhile: restarts of service and database, an analyst who holds on."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg

from tests.soak.machines import BrokenError, Server, Service

# The second half has the same service all through, so that its memory can be judged.
LONG = (
    "service killed",
    "database immediate",
    "analyst locks",
    "service stopped",
    "database fast",
    "analyst reads",
    "service killed",
    "database immediate",
    "service stopped",
    "service killed",
    "database fast",
    "analyst locks",
    "",
    "database immediate",
    "analyst reads",
    "",
    "database fast",
    "",
    "database immediate",
    "",
)
SHORT = LONG[:6]
LONGEST_HOLD_SECONDS = 60.0
TOTAL = "SELECT count(*), sum(value) FROM warehouse.entity"


@dataclass
class Disturbances:
    """Does one thing after the other, each at some moment of its slot. done: how often what was."""

    server: Server
    service: Service
    draw: random.Random
    slots: Sequence[str]
    slot_seconds: float
    done: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as analysts:
            for slot in self.slots:
                before = self.draw.uniform(0, self.slot_seconds / 2)
                await asyncio.sleep(before)
                began = asyncio.get_running_loop().time()
                if slot.startswith("analyst"):
                    analysts.create_task(self._analyse(slot))
                else:
                    await self._disturb(slot)
                took = asyncio.get_running_loop().time() - began
                await asyncio.sleep(max(0.0, self.slot_seconds - before - took))

    async def _disturb(self, what: str) -> None:
        down_seconds = self.draw.uniform(0, min(3.0, self.slot_seconds / 4))
        match what:
            case "service killed" | "service stopped":
                await (self.service.kill() if what == "service killed" else self.service.stop())
                await asyncio.sleep(down_seconds)
                await self.service.start()
            case "database immediate" | "database fast":
                how = signal.SIGQUIT if what == "database immediate" else signal.SIGINT
                await asyncio.to_thread(self.server.restart, how, down_seconds)
            case _:
                return
        self.done[what] += 1

    async def _analyse(self, what: str) -> None:
        """Holds a transaction open for a minute; whoever shuts the server down ends it."""
        seconds = min(LONGEST_HOLD_SECONDS, self.slot_seconds)
        with suppress(asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, OSError):
            connection = await asyncpg.connect(self.server.url)
            try:
                await (lock if what == "analyst locks" else read)(connection, seconds)
                self.done[what] += 1
            finally:
                await connection.close(timeout=5)


async def lock(connection: asyncpg.Connection, seconds: float) -> None:
    """Keeps everybody from writing loans and titles, and from changing months."""
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '20s'")
        await connection.execute(
            "LOCK TABLE warehouse.loans, warehouse.job_title, warehouse.entity"
            " IN SHARE ROW EXCLUSIVE MODE"
        )
        await asyncio.sleep(seconds)


async def read(connection: asyncpg.Connection, seconds: float) -> None:
    """Reads the same total at both ends of a transaction; it has to see one state of the table."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        first = await connection.fetchrow(TOTAL)
        await asyncio.sleep(seconds)
        last = await connection.fetchrow(TOTAL)
    if first != last:
        raise BrokenError(f"an analyst saw {first} and then {last} in one transaction")
