"""The front door as people use it: a daemon of its own, a folder to drop into, a ledger to read.

Everything is looked at from outside: files, the database, what the commands print.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from app.settings import Settings
from tests.acceptance.file_contents import Loans, Values
from tests.warm_start import HeardProcess, is_measured

T = TypeVar("T")

PROJECT = Path(__file__).parents[2]
LIMIT_SECONDS = 30.0
STOP_SECONDS = 10.0
LOOK_SECONDS = 0.02
STREAM_BYTES = 1 << 20
LONG_AGO = 1_000_000_000

Fact = Callable[[], Awaitable[T]]
Row = dict[str, Any]


async def until(
    fact: Fact[T],
    what: str,
    limit_seconds: float = LIMIT_SECONDS,
    look_seconds: float = LOOK_SECONDS,
) -> T:
    """Waits until the fact is true, and gives it; looks again and again, up to a time limit."""
    try:
        async with asyncio.timeout(limit_seconds):
            while not (found := await fact()):
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.Event().wait(), look_seconds)
            return found
    except TimeoutError:
        raise AssertionError(f"not within {limit_seconds} seconds: {what}") from None


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """The environment of a command that works with the test's settings."""
    assert settings.database_url
    own = {
        "DATABASE_URL": settings.database_url,
        "IMPORTS_DIR": str(settings.imports_dir),
        "EXPORTS_DIR": str(settings.exports_dir),
        "LOGS_DIR": str(settings.logs_dir),
        "SETTLE_SECONDS": str(settings.settle_seconds),
        "INIT_DB": "false",
        "LOG_JSON": "true",
        "PYTHONPATH": str(PROJECT),
        "COLUMNS": "400",
    }
    return {**os.environ, **own, **more}


class Daemon:
    """`python -m app watch` as a process of its own; what it prints is kept, line by line.

    It is forked from a program that has done the imports, unless another command runs it or
    coverage is measured.
    """

    words: tuple[str, ...] = ("watch",)

    def __init__(self, settings: Settings, *before: str, **more: str) -> None:
        """`before`: a command that runs it, such as `setpriv` with its options."""
        self._before = before
        self._environment = environment(settings, **more)
        self._folder = settings.imports_dir.parent
        self.lines: list[str] = []
        self._news = asyncio.Condition()

    async def start(self, until: str = "watching") -> None:
        """Starts it, and waits until it has logged that phrase when it logs JSON."""
        self.process = await self._process()
        self._listening = asyncio.create_task(self._listen())
        if self._environment["LOG_JSON"] == "true":
            await self.wait_for(until)

    async def _process(self) -> Process | HeardProcess:
        if not (self._before or is_measured()):
            return await HeardProcess.start(self.words, self._environment, self._folder)
        return await asyncio.create_subprocess_exec(
            *(*self._before, sys.executable, "-m", "app", *self.words),
            cwd=self._folder,
            env=self._environment,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            limit=STREAM_BYTES,
        )

    async def _listen(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            async with self._news:
                self.lines.append(line.decode().rstrip("\n"))
                self._news.notify_all()

    @property
    def events(self) -> list[Row]:
        """Its log lines, for a daemon that logs JSON; each of them has to be JSON then."""
        return [json.loads(line) for line in self.lines]

    def events_named(self, phrase: str) -> list[Row]:
        named = f'"event": "{phrase}"'
        return [json.loads(line) for line in self.lines if named in line]

    async def wait_for(self, phrase: str, count: int = 1) -> None:
        """Waits until it has logged the phrase that often."""
        try:
            async with asyncio.timeout(LIMIT_SECONDS), self._news:
                await self._news.wait_for(lambda: len(self.events_named(phrase)) >= count)
        except TimeoutError:
            said = "\n".join(self.lines)
            raise AssertionError(f"{phrase!r} was not logged {count} times:\n{said}") from None

    async def stop(self) -> None:
        """Tells it to stop, as `docker stop` does; it has to end well, and soon."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(STOP_SECONDS):
                assert await self.process.wait() == 0, "\n".join(self.lines)
        await self._listening

    async def kill(self, after_seconds: float = 0.0) -> None:
        """Ends it as a power cut would, after that time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), after_seconds)
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        await self._listening


@dataclass(frozen=True)
class Front:
    """The folder people drop files into, and the ledger they look at."""

    settings: Settings
    sql: asyncpg.Connection

    def path(self, name: str) -> Path:
        return self.settings.imports_dir / name

    def drop(self, name: str, content: bytes) -> Path:
        """Puts a whole file under its name at once, later than the one before by any clock."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.part")
        unfinished.write_bytes(content)
        self._wait_for_the_clock()
        unfinished.rename(path)
        self._mark.touch()
        return path

    @property
    def _mark(self) -> Path:
        return self.settings.imports_dir.parent / "dropped"

    def _wait_for_the_clock(self) -> None:
        """Change times move on in steps of some milliseconds."""
        self._mark.touch()
        before = self._mark.stat().st_ctime_ns
        while self._mark.stat().st_ctime_ns <= before:
            self._mark.touch()

    def copy_like_docker(self, name: str, content: bytes) -> Path:
        """Writes under the final name, then gives the file its source's old date."""
        path = self.path(name)
        path.write_bytes(content)
        os.utime(path, (LONG_AGO, LONG_AGO))
        return path

    async def ledger(self) -> list[Row]:
        """All loads, in the order they began."""
        return [
            dict(row) for row in await self.sql.fetch("SELECT * FROM ops.load ORDER BY load_id")
        ]

    async def filed(self, count: int, limit_seconds: float = LIMIT_SECONDS) -> list[Row]:
        """Waits until that many loads are over and filed away; there must not be more."""

        async def all_filed() -> list[Row]:
            loads = await self.ledger()
            is_over = len(loads) >= count and all(load["filed_at"] for load in loads)
            return loads if is_over else []

        loads = await until(all_filed, f"{count} loads filed away", limit_seconds)
        assert len(loads) == count
        return loads

    async def outcomes(self, count: int) -> list[tuple[str, str]]:
        """File name and status of that many loads, once they are filed away."""
        return [(load["file_name"], load["status"]) for load in await self.filed(count)]

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.sql.fetch(query)]

    async def loans(self) -> Loans:
        """The warehouse's loans: loans, defaults and liquidations by day."""
        rows = await self.sql.fetch("SELECT * FROM warehouse.loans")
        return {
            row["repayment_date"]: (row["loans"], row["defaults"], row["liquidations"])
            for row in rows
        }

    async def entity(self) -> Values:
        """The warehouse's values by instant and id."""
        rows = await self.sql.fetch("SELECT created_at, entity_id, value FROM warehouse.entity")
        return {(row["created_at"], row["entity_id"]): row["value"] for row in rows}

    async def staged_tables(self) -> list[str]:
        """Tables in staging that are not there for good, and those that hold rows."""
        tables = await self.sql.fetch(
            "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'staging'"
        )
        return [
            each["name"]
            for each in tables
            if each["name"] not in ("loans", "job_titles", "risk_scores")
            or await self.sql.fetchval(f"SELECT count(*) FROM staging.{each['name']}")
        ]

    def kept(self, folder: Path) -> dict[str, bytes]:
        """Files below a folder and their content; what is in hidden folders of it is left out.

        So is what goes while this looks: a service comes and goes with folders of its own.
        """
        kept: dict[str, bytes] = {}
        for parent, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for path in (Path(parent, name) for name in names if not name.startswith(".")):
                with suppress(FileNotFoundError):
                    if path.is_file():
                        kept[str(path.relative_to(folder))] = path.read_bytes()
        return dict(sorted(kept.items()))

    @property
    def waiting(self) -> dict[str, bytes]:
        return self.kept(self.settings.imports_dir)

    @property
    def archived(self) -> dict[str, bytes]:
        return self.kept(self.settings.archive_folder)

    @property
    def quarantined(self) -> dict[str, bytes]:
        return self.kept(self.settings.quarantine_folder)

    def filed_file(self, load: Row) -> tuple[bytes, float]:
        """Content and date of the file that the ledger says is kept for a load."""
        path = Path(load["filed_path"])
        return path.read_bytes(), path.stat().st_mtime

    async def command(self, *arguments: str, **more: str) -> tuple[int, str]:
        """Runs `python -m app ...`; gives its exit code and what it printed."""
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", *arguments),
            cwd=self.settings.imports_dir.parent,
            env=environment(self.settings, **more),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
        )
        async with asyncio.timeout(LIMIT_SECONDS):
            printed, _ = await running.communicate()
        assert running.returncode is not None
        return running.returncode, printed.decode()

    async def status(self) -> Row:
        """What `status --json` says."""
        code, printed = await self.command("status", "--json")
        assert code == 0, printed
        said: Row = json.loads(printed)
        return said


def counts_of(load: Row) -> dict[str, int]:
    """The row counts of a load that are not zero."""
    names = ("read", "inserted", "updated", "unchanged", "deleted", "rejected", "duplicate")
    return {name: load[f"rows_{name}"] for name in names if load[f"rows_{name}"]}


def names_of(loads: Iterable[Row]) -> list[str]:
    return [load["file_name"] for load in loads]
