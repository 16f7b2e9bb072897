"""Commands as processes of their own that start at once: each is forked from one that imported all.

A kill is a kill, whether the interpreter started anew or not; hundreds of them would otherwise
spend minutes on imports.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.settings import Settings
from tests.acceptance.front_door import LIMIT_SECONDS, PROJECT, environment, until

LOOK_SECONDS = 0.002


@dataclass(frozen=True)
class Running:
    """A command that runs. said: the file that its output goes to."""

    pid: int
    said: Path
    words: tuple[str, ...]
    server: subprocess.Popen[str]

    @property
    def output(self) -> str:
        return self.said.read_text()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    async def wait_for(self, phrase: str, limit_seconds: float = LIMIT_SECONDS) -> None:
        """Waits until it has said that; looks so often that it cannot have done much since."""

        async def is_said() -> bool:
            return phrase in self.output

        await until(is_said, f"{phrase!r} said by {self.words}", limit_seconds, LOOK_SECONDS)

    async def ended(self) -> int:
        """Waits for its end; gives its exit code, or the number of the signal, negative."""
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                return int(await asyncio.to_thread(read_line, self.server))
        except TimeoutError:
            self.signal(signal.SIGKILL)
            raise AssertionError(f"{self.words} did not end:\n{self.output}") from None


def read_line(server: subprocess.Popen[str]) -> str:
    assert server.stdout
    return server.stdout.readline()


class Commands:
    """Starts commands, one after the other."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server
        self._started = 0

    async def start(self, settings: Settings, words: tuple[str, ...], **more: str) -> Running:
        """Starts `python -m app ...` with the test's settings, and further ones."""
        folder = settings.imports_dir.parent
        self._started += 1
        said = folder / "logs" / f"said_{self._started}"
        said.touch()
        order = {
            "folder": str(folder),
            "said": str(said),
            "environment": environment(settings, **more),
            "words": words,
        }
        assert self._server.stdin
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return Running(int(read_line(self._server)), said, words, self._server)


@contextmanager
def serving() -> Iterator[Commands]:
    """Starts the process that is forked; it ends with the context."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.acceptance.commands_server"],
        cwd=PROJECT,
        env=kept,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert read_line(server) == "ready\n"
        yield Commands(server)
        assert server.stdin
        server.stdin.close()
