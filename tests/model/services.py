"""Services as real processes, started without the time of their imports, ended by real signals."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.settings import Settings
from tests.acceptance.front_door import PROJECT, STOP_SECONDS, environment

START_SECONDS = 30.0
# Services share it; what tells a bug of ours from trouble that passes.
NEVER_SAID = ("load crashed", "load failed", "Traceback")


class WarmStart:
    """The program that services are forked from."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self._running = running

    def order(self, **order: Any) -> int:
        """Gives an order and returns its answer."""
        assert self._running.stdin
        assert self._running.stdout
        self._running.stdin.write(json.dumps(order) + "\n")
        self._running.stdin.flush()
        return int(self._running.stdout.readline())


@contextmanager
def warm_start(*modules: str) -> Iterator[WarmStart]:
    """Has the imports done once; ends with all services that were started.

    modules: those to import besides what `watch` needs.
    """
    # Measuring coverage would cost each service more than its work does.
    measured = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.model.warm_start", *modules],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if name not in measured},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with running:
        assert running.stdout
        assert running.stdout.readline() == "ready\n"
        yield WarmStart(running)


class Service:
    """`watch` as a process of its own; what it says is kept in a file."""

    words: Sequence[str] = ("watch",)

    def __init__(self, warm: WarmStart, settings: Settings, said: Path, **more: str) -> None:
        self._warm = warm
        self.said = said
        self.pid = warm.order(
            words=self.words,
            environment=environment(settings, **more),
            folder=str(settings.imports_dir.parent),
            said=str(said),
        )
        self._end = os.pidfd_open(self.pid)

    @property
    def lines(self) -> str:
        return self.said.read_text() if self.said.exists() else ""

    async def is_watching(self) -> bool:
        assert not self.is_over(0.0), self.lines
        return '"event": "watching"' in self.lines

    def is_over(self, limit_seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return bool(poll.poll(limit_seconds * 1000))

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self._signal(signal.SIGKILL, -signal.SIGKILL)

    def stop(self) -> None:
        """Tells it to stop, as `docker stop` does; it has to end well, and soon."""
        self._signal(signal.SIGTERM, 0)

    def _signal(self, number: signal.Signals, code: int) -> None:
        signal.pidfd_send_signal(self._end, number)
        assert self.is_over(STOP_SECONDS), f"did not end:\n{self.lines}"
        os.close(self._end)
        assert self._warm.order(ended=self.pid) == code, self.lines
        for phrase in NEVER_SAID:
            assert phrase not in self.lines, self.lines
