"""What the soak runs and restarts: the embedded server, the service, the cron job's commands."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.store import cluster, embedded, locks, server_launch
from app.store.cluster import Cluster
from app.store.server_account import choose_account

PROJECT = Path(__file__).parents[2]
LOOK_SECONDS = 0.05
START_SECONDS = 120.0
STOP_SECONDS = 20.0
SERVER_SECONDS = 120.0
COMMAND_SECONDS = 120.0


class BrokenError(Exception):
    """Something that may never happen."""


class Server:
    """An embedded PostgreSQL that is shut down and started under its users."""

    def __init__(self, home: Path) -> None:
        self._share = embedded.start(home)
        self._files = Cluster(home.resolve())
        self.url = self._share.url
        self.is_up = True
        self.down_until = 0.0

    def restart(self, how: signal.Signals, down_seconds: float) -> None:
        """Ends it (SIGINT: fast, SIGQUIT: immediate), and starts it after that time. Blocks."""
        server = cluster.postmaster(self._files)
        if server is None:
            raise BrokenError("the database server is not there any more")
        self.is_up = False
        os.kill(server.pid, how)
        if not locks.wait_until(lambda: cluster.is_down(self._files), SERVER_SECONDS):
            raise BrokenError("the database server did not stop")
        time.sleep(down_seconds)
        server_launch.launch(self._files, choose_account(self._files.data))
        cluster.wait_until_ready(self._files)
        self.is_up, self.down_until = True, time.monotonic()

    def stop(self) -> None:
        self._share.stop()


@dataclass
class Commands:
    """`python -m app ...` with the soak's settings. folder: where all of it lies."""

    folder: Path
    url: str
    workers: int

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "DATABASE_URL": self.url,
            "IMPORTS_DIR": str(self.folder / "imports"),
            "EXPORTS_DIR": str(self.folder / "exports"),
            "LOGS_DIR": str(self.folder / "logs"),
            "TMPDIR": str(self.folder / "tmp"),
            "WORKERS": str(self.workers),
            "LOG_JSON": "true",
            "PYTHONPATH": str(PROJECT),
        }
        return {**os.environ, **own}

    async def run(self, *words: str) -> tuple[int, str]:
        """Runs one command to its end; gives its exit code and what it printed."""
        process = await self.start(*words, output=PIPE)
        async with asyncio.timeout(COMMAND_SECONDS):
            printed, _ = await process.communicate()
        return process.returncode or 0, printed.decode()

    async def start(self, *words: str, output: int) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", *words),
            cwd=self.folder,
            env=self.environment,
            stdin=DEVNULL,
            stdout=output,
            stderr=STDOUT,
        )


@dataclass
class Service:
    """The daemon: started, told to stop, killed. lives: how often it was started."""

    commands: Commands
    lives: int = 0
    process: Process | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        return self.commands.folder / f"service-{self.lives}.log"

    @property
    def pid(self) -> int | None:
        running = self.process is not None and self.process.returncode is None
        return self.process.pid if running and self.process else None

    async def start(self) -> None:
        """Starts it, and waits until it watches."""
        self.lives += 1
        with self.log.open("wb") as log:
            self.process = await self.commands.start("watch", output=log.fileno())
        async with asyncio.timeout(START_SECONDS):
            while b'"event": "watching"' not in self.log.read_bytes():
                self.require_alive()
                await asyncio.sleep(LOOK_SECONDS)

    def require_alive(self) -> None:
        """Raises BrokenError when it ended although nobody told it to."""
        if self.process and self.process.returncode is not None:
            said = self.log.read_text(errors="replace")[-2000:]
            raise BrokenError(f"the service ended by itself ({self.process.returncode}):\n{said}")

    async def stop(self) -> None:
        """Tells it to stop; it has to, in time, and with a clean exit."""
        self.require_alive()
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS):
            code = await self.process.wait()
        if code:
            raise BrokenError(f"the service told to stop ended with {code}")

    async def kill(self) -> None:
        self.require_alive()
        assert self.process
        self.process.kill()
        await self.process.wait()

    def events(self) -> Iterator[dict[str, Any]]:
        """Every line it logged in all its lives; what is no JSON comes as an event, too."""
        for log in sorted(self.commands.folder.glob("service-*.log")):
            for line in log.read_text(errors="replace").splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    yield {"event": f"not JSON: {line}", "level": "error"}
