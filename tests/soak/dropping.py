"""How people bring files into the folder, and the record of all that was ever dropped."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.written import Written

LONG_AGO = 1_000_000_000
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Drop:
    """One file that was dropped. kept: a copy of ours, which nobody else touches."""

    name: str
    lane: str
    way: str
    sha256: str
    kept: Path
    at: float

    @property
    def file_name(self) -> str:
        """The name as the ledger has it, without the folder's."""
        return Path(self.name).name


@dataclass
class Dropping:
    """The imports folder, and what was dropped into it, in the order it was complete."""

    imports: Path
    copies: Path
    stop: asyncio.Event
    slowest_seconds: float
    drops: list[Drop] = field(default_factory=list)

    async def drop(self, written: Written, draw: random.Random, way: str | None = None) -> None:
        """Drops the file in one of the ways people have, and notes it.

        A file that is written in place is complete when it is closed, and noticed a little later;
        so nothing of its lane follows before it is taken. Nor does a file of the same name.
        """
        way = way or draw.choice(("renamed", "renamed", "renamed", "copied", "slowly"))
        path = self.imports / written.name
        path.parent.mkdir(exist_ok=True)
        if written.keeps_name:
            await self.until_gone(path)
        if way == "renamed":
            await asyncio.to_thread(rename_in, path, written.body)
        elif way == "copied":
            await asyncio.to_thread(copy_like_docker, path, written.body)
        else:
            await self._write_slowly(path, written.body, draw)
        self._note(written, way)
        if way != "renamed":
            await self.until_gone(path)

    def _note(self, written: Written, way: str) -> None:
        kept = self.copies / str(len(self.drops))
        kept.write_bytes(written.body)
        sha256 = hashlib.sha256(written.body).hexdigest()
        self.drops.append(Drop(written.name, written.lane, way, sha256, kept, time.time()))

    async def _write_slowly(self, path: Path, body: bytes, draw: random.Random) -> None:
        """Writes it bit by bit under its own name, as somebody's export does."""
        pieces = draw.randint(2, 8)
        size = len(body) // pieces + 1
        with path.open("wb", buffering=0) as file:
            for start in range(0, max(1, len(body)), size):
                file.write(body[start : start + size])
                await self.pause(draw.uniform(0, self.slowest_seconds / pieces))

    async def until_gone(self, path: Path) -> None:
        """Waits until the service has taken the file away; whoever is told to stop waits on."""
        while await asyncio.to_thread(path.exists):  # noqa: ASYNC110 - no folder says when
            await asyncio.sleep(LOOK_SECONDS)

    async def pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)


def rename_in(path: Path, body: bytes) -> None:
    """Has the whole file appear at once, later by the file system's clock than any before it."""
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(body)
    moment = unfinished.stat().st_ctime_ns
    while unfinished.stat().st_ctime_ns == moment:
        os.utime(unfinished)
    unfinished.rename(path)


def copy_like_docker(path: Path, body: bytes) -> None:
    """Writes under the final name, then gives the file its source's old date."""
    path.write_bytes(body)
    with suppress(FileNotFoundError):  # loaded and taken away already
        os.utime(path, (LONG_AGO, LONG_AGO))
