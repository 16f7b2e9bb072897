"""The stand everything is measured on: one embedded server, one running service.

Both sides of a comparison use the same server with the same settings, one after the other.
"""

from __future__ import annotations

import asyncio
import os
import select
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

import asyncpg

from app.store import embedded, server_launch

PROJECT = Path(__file__).parents[1]
LONGEST_LOAD_SECONDS = 300
LOOK_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Stand:
    """A server and a service that watches `imports`."""

    folder: Path
    url: str

    @property
    def imports(self) -> Path:
        return self.folder / "imports"

    def execute(self, *statements: str) -> None:
        """Runs statements one by one, each in its own transaction."""

        async def run() -> None:
            connection = await asyncpg.connect(self.url)
            for statement in statements:
                await connection.execute(statement)
            await connection.close()

        asyncio.run(run())

    def psql(self, command: str) -> float:
        """Runs one psql command and gives its seconds, the start of psql included."""
        began = time.perf_counter()
        subprocess.run(
            [server_launch.programs() / "psql", self.url, "-qX", "-c", command], check=True
        )
        return time.perf_counter() - began

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
def stand() -> Iterator[Stand]:
    """Gives a stand in a temporary folder; everything is stopped and removed afterwards."""
    folder = Path(mkdtemp(prefix="sluice-bench-"))
    try:
        with embedded.start(folder / "postgres") as server:
            (folder / "imports").mkdir()
            with service(folder, server.url):
                yield Stand(folder, server.url)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def service(folder: Path, url: str) -> Iterator[None]:
    """Runs `python -m app watch` on the folder until the end of the block."""
    environment = {**os.environ, "DATABASE_URL": url}
    for name in ("imports", "exports", "logs"):
        environment[f"{name.upper()}_DIR"] = str(folder / name)
    with subprocess.Popen(
        [sys.executable, "-m", "app", "watch"],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as daemon:
        try:
            wait_until_watching(daemon)
            yield
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.communicate(timeout=30)


def wait_until_watching(daemon: subprocess.Popen[str]) -> None:
    """Reads the daemon's log up to the line that says it watches."""
    assert daemon.stdout
    while select.select([daemon.stdout], [], [], 60)[0]:
        line = daemon.stdout.readline()
        if "watching" in line:
            return
        if not line:
            break
    raise RuntimeError("the service did not start")
