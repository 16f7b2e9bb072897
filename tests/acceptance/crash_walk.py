"""Two installations side by side: in one of them each command is killed before it may end.

What both hold is compared after every crash, so a difference names the point that made it.
"""

from __future__ import annotations

import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from app.crash_points import VARIABLE, Point
from app.settings import Settings
from tests.acceptance import snapshots
from tests.acceptance.forked import Commands, Running
from tests.acceptance.front_door import Front, until
from tests.acceptance.snapshots import Snapshot

PASSED = re.compile(rf"^{VARIABLE} passes (.+)$", re.MULTILINE)
WATCHED = ("watching", "watch")


@dataclass
class Side:
    """One installation: its folder, its database, and commands with its settings.

    passed: the crash points that its commands went past.
    """

    front: Front
    commands: Commands
    options: dict[str, str] = field(default_factory=dict)
    passed: set[Point] = field(default_factory=set)

    @property
    def settings(self) -> Settings:
        return self.front.settings

    @property
    def sql(self) -> asyncpg.Connection:
        return self.front.sql

    @property
    def folder(self) -> Path:
        return self.settings.imports_dir.parent

    def keep_archive_in(self, folder: Path) -> None:
        folder.mkdir()
        self.options["ARCHIVE_DIR"] = str(folder)
        self.front = Front(self.settings.model_copy(update={"archive_dir": folder}), self.sql)

    async def start(self, *words: str, **more: str) -> Running:
        return await self.commands.start(self.settings, words, **{**self.options, **more})

    async def run(self, *words: str, **more: str) -> str:
        """Runs a command to its end, which has to be a good one; gives what it printed."""
        running = await self.start(*words, **{VARIABLE: "list", **more})
        assert await running.ended() == 0, running.output
        return self._look_back(running)

    def _look_back(self, running: Running) -> str:
        self.passed |= {Point(name) for name in PASSED.findall(running.output)}
        return running.output

    async def do(self, *words: str, code: int = 0, **more: str) -> None:
        """Runs a command that is not looked at, to be killed at no point."""
        running = await self.start(*words, **more)
        assert await running.ended() == code, running.output

    async def crash(self, point: str, *words: str) -> None:
        """Runs a command that has to be killed at a point."""
        running = await self.start(*words, **{VARIABLE: point})
        assert await running.ended() == -signal.SIGKILL, f"not at {point}: {running.output}"

    @asynccontextmanager
    async def running(self, event: str, *words: str) -> AsyncIterator[None]:
        """Has a command run for the block, once it has logged that, and stop well at its end."""
        running = await self.start(*words, **{VARIABLE: "list"})
        await running.wait_for(f'"event": "{event}"')
        yield
        running.signal(signal.SIGTERM)
        assert await running.ended() == 0, running.output
        self._look_back(running)

    async def settled(self) -> None:
        """Waits until no file waits and no load is under way."""

        async def is_settled() -> bool:
            if any(each.is_file() and each.name[0] != "." for each in self._dropped()):
                return False
            return not await self.sql.fetchval(
                "SELECT count(*) FROM ops.load WHERE filed_at IS NULL"
            )

        await until(is_settled, "all files loaded")

    def _dropped(self) -> Iterable[Path]:
        imports = self.settings.imports_dir
        return [*imports.iterdir(), *imports.glob("[!.]*/*")]

    async def serve(self) -> None:
        """Has the service run until nothing is left to do."""
        async with self.running(*WATCHED):
            await self.settled()

    async def snapshot(self) -> Snapshot:
        return await snapshots.take(self.sql, self.folder, self.settings.archive_folder)


def settings_in(folder: Path, database_url: str) -> Settings:
    """Settings of an installation in a folder of its own."""
    for name in ("imports", "exports", "logs"):
        (folder / name).mkdir(parents=True)
    return Settings(
        database_url=database_url,
        imports_dir=folder / "imports",
        exports_dir=folder / "exports",
        logs_dir=folder / "logs",
        settle_seconds=0.05,
    )


Step = Callable[[Side, int], Awaitable[None]]
Check = Callable[[Front, int], Awaitable[None]]


async def serve(side: Side, _number: int) -> None:
    await side.serve()


@dataclass(frozen=True)
class Walk:
    """What is done in each round, and the points at which it is broken off, one a round.

    points: each may have a number, such as `archive.moved:2`. passed_too: those that may be passed
    too, and are walked elsewhere. prepare: what is there before. words: the command that is
    killed in a round. finish: what is done then, and what alone is done where nothing is
    disturbed. begin: what is done before the first round. by_one_service: whether an undisturbed
    service may run through all rounds, which is quicker. look: gives what both sides must share.
    """

    points: tuple[str, ...]
    prepare: Step
    words: Callable[[int], tuple[str, ...]]
    finish: Step
    passed_too: frozenset[Point] = frozenset()
    begin: Callable[[Side], Awaitable[None]] | None = None
    by_one_service: bool = False
    look: Callable[[Side], Awaitable[Snapshot]] = Side.snapshot

    @property
    def walked(self) -> set[Point]:
        return {Point(point.partition(":")[0]) for point in self.points}

    async def undisturbed(self, side: Side) -> list[Snapshot]:
        """Gives what is there after each round; the points passed have to be those known."""
        taken = []
        if self.by_one_service:
            async with side.running(*WATCHED):
                for number in range(len(self.points)):
                    await self.prepare(side, number)
                    await side.settled()
                    taken.append(await self.look(side))
        else:
            for number in range(len(self.points)):
                await self.prepare(side, number)
                await self.finish(side, number)
                taken.append(await self.look(side))
        assert self.walked <= side.passed, self.walked - side.passed
        assert side.passed <= self.walked | self.passed_too, side.passed - self.passed_too
        return taken

    async def disturbed(self, side: Side, expected: list[Snapshot]) -> None:
        """Kills the command at each point, finishes, and compares with the other side."""
        for number, point in enumerate(self.points):
            await self.prepare(side, number)
            await side.crash(point, *self.words(number))
            await self.finish(side, number)
            differences = snapshots.differences(await self.look(side), expected[number])
            assert not differences, f"after {point}:\n" + "\n".join(differences)

    async def take(self, sides: tuple[Side, Side]) -> None:
        """Walks on both sides, the undisturbed one first."""
        one, other = sides
        for side in sides:
            if self.begin:
                await self.begin(side)
                side.passed.clear()
        await self.disturbed(other, await self.undisturbed(one))
