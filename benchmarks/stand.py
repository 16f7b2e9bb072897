"""The stand everything is measured on: one embedded server, one running service.

Both sides of a comparison use the same server with the same settings, one after the other.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import asyncpg

from app.store import embedded, server_launch

PROJECT = Path(__file__).parents[1]
# The peers' environment, which `make bench` sets up, and their scripts.
PEERS_PYTHON = PROJECT / "benchmarks" / ".venv" / "bin" / "python"
PEERS = PROJECT / "benchmarks" / "peers"
LONGEST_LOAD_SECONDS = 300
LOOK_SECONDS = 0.002
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Stand:
    """A server and a service that watches `imports`."""

    folder: Path
    url: str

    @property
    def imports(self) -> Path:
        return self.folder / "imports"

    @property
    def archive(self) -> Path:
        return self.imports / ".archive"

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    def execute(self, *statements: str) -> None:
        """Runs statements one by one, each in its own transaction."""

        async def run() -> None:
            connection = await asyncpg.connect(self.url)
            for statement in statements:
                await connection.execute(statement)
            await connection.close()

        asyncio.run(run())

    def value(self, query: str) -> Any:
        """Gives the first value that a query finds."""

        async def fetch() -> Any:
            connection = await asyncpg.connect(self.url)
            value = await connection.fetchval(query)
            await connection.close()
            return value

        return asyncio.run(fetch())

    def psql(self, *commands: str) -> float:
        """Runs commands in one psql and gives its seconds, the start of psql included."""
        words = [word for command in commands for word in ("-c", command)]
        began = time.perf_counter()
        subprocess.run([server_launch.programs() / "psql", self.url, "-qX", *words], check=True)
        return time.perf_counter() - began

    def app(self, *words: str, **settings: str) -> tuple[float, str]:
        """Runs `python -m app ...`; gives its seconds, Python's start included, and its log."""
        command = [sys.executable, "-m", "app", *words]
        environment = environment_of(self.folder, self.url, LOG_JSON="true", **settings)
        began = time.perf_counter()
        ended = subprocess.run(
            command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        return time.perf_counter() - began, ended.stdout

    def drop(self, path: Path) -> float:
        """Renames a copy of the file into imports/; gives the seconds until it is in the ledger.

        Raises RuntimeError when the load does not end as loaded or duplicate.
        """
        unfinished = self.imports / f".{path.name}"
        shutil.copyfile(path, unfinished)
        return asyncio.run(self._drop(unfinished, self.imports / path.name))

    async def _drop(self, unfinished: Path, target: Path) -> float:
        connection = await asyncpg.connect(self.url)
        newest = await connection.fetchval("SELECT coalesce(max(load_id), 0) FROM ops.load")
        ended = await connection.prepare(
            "SELECT status FROM ops.load WHERE load_id > $1 AND finished_at IS NOT NULL"
        )
        began = time.perf_counter()
        os.rename(unfinished, target)  # noqa: PTH104 - a system call, nothing to wait for
        while (status := await ended.fetchval(newest)) is None:
            if time.perf_counter() - began > LONGEST_LOAD_SECONDS:
                raise RuntimeError(f"{target.name} was not loaded in time")
            await asyncio.sleep(LOOK_SECONDS)
        seconds = time.perf_counter() - began
        await connection.close()
        if status not in ("loaded", "duplicate"):
            raise RuntimeError(f"{target.name} ended as {status}")
        return seconds


@contextmanager
def stand(**settings: str) -> Iterator[Stand]:
    """Gives a stand whose service has these settings; all is stopped and removed afterwards."""
    with server() as ready, service(ready.folder, ready.url, **settings):
        yield ready


@contextmanager
def server() -> Iterator[Stand]:
    """Gives a server and empty folders, in a temporary folder, without a service."""
    folder = Path(mkdtemp(prefix="sluice-bench-"))
    try:
        with embedded.start(folder / "postgres") as server:
            (folder / "imports").mkdir()
            yield Stand(folder, server.url)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def service(folder: Path, url: str, **settings: str) -> Iterator[int]:
    """Runs `python -m app watch` on the folder until the end of the block; gives its process id."""
    # Into a file: a pipe that nobody empties would stop the service when it is full.
    output = folder / "service.log"
    with (
        output.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            [sys.executable, "-m", "app", "watch"],
            cwd=PROJECT,
            env=environment_of(folder, url, **settings),
            stdout=log,
        ) as daemon,
    ):
        try:
            wait_until_watching(daemon, output)
            yield daemon.pid
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(timeout=30)


def environment_of(folder: Path, url: str, **settings: str) -> dict[str, str]:
    """Gives the settings of a command that works on the folder and the database.

    Python may keep the bytecode of our modules, as it does for people and as pip did for the peers.
    """
    folders = {f"{name.upper()}_DIR": str(folder / name) for name in ("imports", "exports", "logs")}
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "DATABASE_URL": url, **folders, **settings}


def wait_until_watching(daemon: subprocess.Popen[bytes], output: Path) -> None:
    """Waits for the line in the daemon's log that says it watches."""
    deadline = time.perf_counter() + START_SECONDS
    while "watching" not in output.read_text(encoding="utf-8"):
        if daemon.poll() is not None or time.perf_counter() > deadline:
            raise RuntimeError(f"the service did not start: {output.read_text(encoding='utf-8')}")
        time.sleep(LOOK_SECONDS)
