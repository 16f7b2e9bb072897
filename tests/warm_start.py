"""Commands that are there at once: each is forked from a program that has done the imports.

A command is a process of its own all the same, with its own environment, folder and end, and a
kill is a kill; thousands of them would otherwise spend most of the tests' time on imports.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
from asyncio import Event, StreamReader, StreamReaderProtocol, get_running_loop
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from select import POLLIN, poll
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Self

PROJECT = Path(__file__).parents[1]
STREAM_BYTES = 1 << 20


def is_measured() -> bool:
    """Whether coverage is measured, in every process that starts anew."""
    return any(name.startswith("COVERAGE_PROCESS") for name in os.environ)


class WarmStart:
    """The program that commands are forked from."""

    def __init__(self) -> None:
        # Measuring coverage would cost each command more than its work does.
        measured = [name for name in os.environ if name.startswith("COV")]
        self._running = subprocess.Popen(
            [sys.executable, "-m", "tests.warm_program"],
            cwd=PROJECT,
            env={name: value for name, value in os.environ.items() if name not in measured},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._running.stdout
        assert self._running.stdout.readline() == "ready\n"
        self._asked = Lock()

    def order(self, **order: Any) -> int:
        """Gives an order and returns its answer."""
        assert self._running.stdin
        assert self._running.stdout
        with self._asked:
            self._running.stdin.write(json.dumps(order) + "\n")
            self._running.stdin.flush()
            return int(self._running.stdout.readline())

    def close(self) -> None:
        """Ends it, with all commands that still run."""
        with self._running as running:
            assert running.stdin
            running.stdin.close()


@cache
def warm_start() -> WarmStart:
    """The one of these tests, started when it is first needed."""
    warm = WarmStart()
    atexit.register(warm.close)
    return warm


class WarmProcess:
    """A command that runs. pid: its process."""

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        out: Path,
        err: Path | None = None,
    ) -> None:
        """out, err: where it writes to; without `err`, both go to `out`."""
        self.pid = warm_start().order(
            words=list(words),
            environment=dict(environment),
            folder=str(folder),
            out=str(out),
            err=str(err or out),
        )
        self.returncode: int | None = None
        self.descriptor = os.pidfd_open(self.pid)

    def is_over(self, limit_seconds: float) -> bool:
        """Whether it has ended; waits so long for it. Blocks."""
        if self.returncode is None:
            waiting = poll()
            waiting.register(self.descriptor, POLLIN)
            if waiting.poll(limit_seconds * 1000):
                self.reap()
        return self.returncode is not None

    def reap(self) -> None:
        """Takes note of how it ended, once it has."""
        self.returncode = warm_start().order(ended=self.pid)
        os.close(self.descriptor)

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            signal.pidfd_send_signal(self.descriptor, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class HeardProcess(WarmProcess):
    """The same inside an event loop: its words are a stream, and its end can be waited for."""

    stdout: StreamReader
    _ended: Event

    @classmethod
    async def start(
        cls, words: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> Self:
        loop = get_running_loop()
        with TemporaryDirectory(prefix="sluice-said-") as pipe:
            path = Path(pipe) / "said"
            os.mkfifo(path)
            said = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            process = cls(words, environment, folder, path)
        process._ended = Event()
        process.stdout = StreamReader(limit=STREAM_BYTES)
        await loop.connect_read_pipe(
            lambda: StreamReaderProtocol(process.stdout), os.fdopen(said, "rb")
        )
        loop.add_reader(process.descriptor, process._note_end)
        return process

    def _note_end(self) -> None:
        get_running_loop().remove_reader(self.descriptor)
        self.reap()
        self._ended.set()

    async def wait(self) -> int:
        """Waits for its end and gives the exit code, or the number of the signal, negative."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode
