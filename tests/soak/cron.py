"""Refresh and export, every few seconds, as the cron job runs them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from tests.soak.machines import Commands, Server

UNREACHABLE = 3
AFTERMATH_SECONDS = 5.0


@dataclass
class Cron:
    """Runs the two commands until told to stop. faults: ends that nothing explains."""

    commands: Commands
    server: Server
    every_seconds: float
    runs: int = 0
    unreachable: int = 0
    faults: list[str] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            for word in ("refresh", "export"):
                await self._run(word)
            await asyncio.sleep(self.every_seconds)

    async def _run(self, word: str) -> None:
        """Runs one; exit code 3 is right while the database is down, and only then."""
        began, was_up = time.monotonic(), self.server.is_up
        code, printed = await self.commands.run(word)
        self.runs += 1
        was_down = not (was_up and self.server.is_up) or (
            self.server.down_until + AFTERMATH_SECONDS > began
        )
        if code == UNREACHABLE and was_down:
            self.unreachable += 1
        elif code:
            self.faults.append(f"{word} ended with {code}: {printed[-500:]}")
