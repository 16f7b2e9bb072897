"""Services as real processes, started without the time of their imports, ended by real signals."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from app.settings import Settings
from tests.acceptance.front_door import STOP_SECONDS, environment
from tests.warm_start import WarmProcess

# Services share it; what tells a bug of ours from trouble that passes.
NEVER_SAID = ("load crashed", "load failed", "Traceback")


class Service:
    """`watch` as a process of its own; what it says is kept in a file."""

    words: Sequence[str] = ("watch",)

    def __init__(self, settings: Settings, said: Path, **more: str) -> None:
        self.said = said
        self._process = WarmProcess(
            self.words, environment(settings, **more), settings.imports_dir.parent, said
        )
        self.pid = self._process.pid

    @property
    def lines(self) -> str:
        return self.said.read_text() if self.said.exists() else ""

    async def is_watching(self) -> bool:
        assert not self.is_over(0.0), self.lines
        return '"event": "watching"' in self.lines

    def is_over(self, limit_seconds: float) -> bool:
        return self._process.is_over(limit_seconds)

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self._signal(signal.SIGKILL, -signal.SIGKILL)

    def stop(self) -> None:
        """Tells it to stop, as `docker stop` does; it has to end well, and soon."""
        self._signal(signal.SIGTERM, 0)

    def _signal(self, number: signal.Signals, code: int) -> None:
        self._process.send_signal(number)
        assert self.is_over(STOP_SECONDS), f"did not end:\n{self.lines}"
        assert self._process.returncode == code, self.lines
        for phrase in NEVER_SAID:
            assert phrase not in self.lines, self.lines
