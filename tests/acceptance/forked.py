"""Commands as processes of their own that start at once, and whose words and ends are looked at."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path

from app.settings import Settings
from tests.acceptance.front_door import LIMIT_SECONDS, environment, until
from tests.warm_start import WarmProcess

LOOK_SECONDS = 0.002


@dataclass(frozen=True)
class Running:
    """A command that runs. said: the file that its output goes to."""

    process: WarmProcess
    said: Path
    words: tuple[str, ...]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self.said.read_text()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def wait_for(self, phrase: str, limit_seconds: float = LIMIT_SECONDS) -> None:
        """Waits until it has said that; looks so often that it cannot have done much since."""

        async def is_said() -> bool:
            return phrase in self.output

        await until(is_said, f"{phrase!r} said by {self.words}", limit_seconds, LOOK_SECONDS)

    async def ended(self) -> int:
        """Waits for its end; gives its exit code, or the number of the signal, negative."""
        if not await asyncio.to_thread(self.process.is_over, LIMIT_SECONDS):
            self.signal(signal.SIGKILL)
            raise AssertionError(f"{self.words} did not end:\n{self.output}")
        assert self.process.returncode is not None
        return self.process.returncode


class Commands:
    """Starts commands of every kind."""

    def __init__(self) -> None:
        self._started = 0

    async def start(self, settings: Settings, words: tuple[str, ...], **more: str) -> Running:
        """Starts `python -m app ...` with the test's settings, and further ones."""
        folder = settings.imports_dir.parent
        self._started += 1
        said = folder / "logs" / f"said_{self._started}"
        said.touch()
        process = WarmProcess(words, environment(settings, **more), folder, said)
        return Running(process, said, words)
