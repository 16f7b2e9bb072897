"""People, services and a folder, as a machine of rules that Hypothesis works at random."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sys
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import asyncpg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from hypothesis.strategies import SearchStrategy

from app.settings import Settings
from tests.acceptance.front_door import Front, until
from tests.acceptance.test_changing_files import load_waits
from tests.model.contents import NAMES, as_file, stocks
from tests.model.expectations import Expectations
from tests.model.oracle import MAX_REJECTED_RATIO
from tests.model.people import People
from tests.model.services import Service

T = TypeVar("T")

MOST_SERVICES = 2
TABLES = {"loans": "loans", "entity": "entity", "job_titles": "job_title"}
MORE = {"SWEEP_SECONDS": "1", "MAX_REJECTED_RATIO": str(MAX_REJECTED_RATIO)}
RESET = """
TRUNCATE ops.load, warehouse.loans, warehouse.job_title, warehouse.related_title CASCADE;
DO $$
DECLARE partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'warehouse.entity'::regclass
    LOOP
        EXECUTE 'DROP TABLE ' || partition;
    END LOOP;
END $$
"""


@dataclass
class World:
    """What all examples share: an event loop, a database, and a way to start services.

    sql: looks at the database. blocker: keeps loads waiting in the middle.
    """

    runner: asyncio.Runner
    settings: Settings
    sql: asyncpg.Connection
    blocker: asyncpg.Connection
    folder: Path

    def wait_for(self, work: Awaitable[T]) -> T:
        async def waited() -> T:
            return await work

        return self.runner.run(waited())


feeds = st.sampled_from(list(NAMES))
which = st.integers(0, 3)
ways = st.sampled_from(["rename in", "overwrite", "copy", "copy"])


def places_of(feeds: Iterable[str]) -> SearchStrategy[tuple[str, str]]:
    """A feed, as likely as any other, and a name of it."""
    return st.one_of(*(st.tuples(st.just(each), st.sampled_from(NAMES[each])) for each in feeds))


places = places_of(NAMES)


class FolderMachine(RuleBasedStateMachine):
    """What people do to the imports folder while services come and go."""

    world: World
    numbers = itertools.count(1)

    def __init__(self) -> None:
        super().__init__()
        self.home = self.world.folder / str(next(self.numbers))
        for name in ("imports/loans", "imports/entity", "exports", "logs"):
            (self.home / name).mkdir(parents=True)
        self.settings = self.world.settings.model_copy(
            update={f"{name}_dir": self.home / name for name in ("imports", "exports", "logs")}
        )
        self.wait_for(self.world.sql.execute(RESET))
        self.people = People(self.settings.imports_dir)
        front = Front(self.settings, self.world.sql)
        self.expectations = Expectations(front, self.people)
        self.last: tuple[tuple[str, str], int] | None = None
        self.rests: dict[str, bytes] = {}
        self.killed: set[int] = set()
        self.services: list[Service] = []
        self.started = itertools.count(1)
        self.block: asyncpg.transaction.Transaction | None = None

    def wait_for(self, work: Awaitable[T]) -> T:
        """Waits; a wait that ends badly leaves the machine broken."""
        self.is_broken = True
        result = self.world.wait_for(work)
        self.is_broken = False
        return result

    @initialize(stock=stocks, is_served=st.sampled_from([True, True, False]))
    def stock_up(self, stock: dict[str, list[bytes]], is_served: bool) -> None:
        self.stock = stock
        if is_served:
            self.start()

    def note(self, place: tuple[str, str], number: int) -> bytes:
        """Remembers what is dropped last, and gives its content."""
        self.last = place, number
        return self.content(place, number)

    def content(self, place: tuple[str, str], number: int, *, is_damaged: bool = False) -> bytes:
        feed, name = place
        return as_file(name, self.stock[feed][number], is_damaged=is_damaged)

    @rule(place=places, number=which, is_damaged=st.sampled_from([False, False, False, True]))
    def rename_in(self, place: tuple[str, str], number: int, is_damaged: bool) -> None:
        if place[1] not in self.people.writers:
            self.note(place, number)
            self.people.rename_in(place[1], self.content(place, number, is_damaged=is_damaged))

    @rule(feed=feeds, numbers=st.lists(which, min_size=2, max_size=5))
    def rename_many_in(self, feed: str, numbers: list[int]) -> None:
        for name, number in zip(itertools.cycle(NAMES[feed]), numbers, strict=False):
            self.rename_in((feed, name), number, is_damaged=False)

    @rule(place=places, number=which)
    def overwrite(self, place: tuple[str, str], number: int) -> None:
        if place[1] not in self.people.writers:
            self.people.overwrite(place[1], self.note(place, number))

    @rule(place=places, number=which, is_dated_late=st.booleans())
    def copy(self, place: tuple[str, str], number: int, is_dated_late: bool) -> None:
        if place[1] not in self.people.writers:
            self.people.copy(place[1], self.note(place, number), is_dated_late=is_dated_late)

    @precondition(lambda self: self.last)
    @rule(way=ways, is_twin=st.booleans())
    def correct(self, way: str, is_twin: bool) -> None:
        """Drops a correction of the last file under its name, or the same once more."""
        assert self.last
        place, number = self.last
        corrected = (number + 2) % 4 if is_twin else number
        if way == "copy":
            self.copy(place, corrected, is_dated_late=False)
        elif way == "overwrite":
            self.overwrite(place, corrected)
        else:
            self.rename_in(place, corrected, is_damaged=False)

    @rule(place=places, number=which, cuts=st.lists(st.integers(0, 90), max_size=2).map(sorted))
    def append(self, place: tuple[str, str], number: int, cuts: list[int]) -> None:
        if place[1] not in self.people.writers:
            content = self.content(place, number)
            ends = itertools.pairwise([0, *cuts, len(content)])
            self.people.append(place[1], [content[start:end] for start, end in ends])

    @rule(place=places, number=which, cut=st.integers(0, 90))
    def write_slowly(self, place: tuple[str, str], number: int, cut: int) -> None:
        """Writes the first part of a file and keeps it open."""
        name, content = place[1], self.content(place, number)
        if name not in self.people.writers:
            self.people.begin(name, content[:cut])
            self.rests[name] = content[cut:]

    @precondition(lambda self: self.people.writers)
    @rule(number=st.integers(0, 9), is_whole=st.booleans(), is_over=st.booleans())
    def go_on_writing(self, number: int, is_whole: bool, is_over: bool) -> None:
        """Writes the rest or nothing, and closes the file or leaves it open."""
        names = list(self.people.writers)
        name = names[number % len(names)]
        if is_whole:
            self.people.go_on(name, self.rests.pop(name, b""))
        if is_over:
            self.people.finish(name)

    @rule(place=places, number=which, other=st.none() | places)
    def change_the_mind(
        self, place: tuple[str, str], number: int, other: tuple[str, str] | None
    ) -> None:
        """Drops a file, and deletes it or gives it another name."""
        if {place[1], other and other[1]} & self.people.writers.keys():
            return
        self.people.rename_in(place[1], self.content(place, number))
        if other is None:
            self.people.delete(place[1])
        elif other != place:
            self.people.rename(place[1], other[1])

    @rule(place=places)
    def delete(self, place: tuple[str, str]) -> None:
        if place[1] not in self.people.writers:
            self.people.delete(place[1])

    @rule(
        place=places_of(TABLES),
        number=which,
        is_copied=st.booleans(),
        then=st.none() | ways,
    )
    def drop_and_catch_in_the_middle(
        self, place: tuple[str, str], number: int, is_copied: bool, then: str | None
    ) -> None:
        """Has a load wait within its transaction, until the next time all settles.

        then: how a correction of the file comes meanwhile.
        """
        feed, name = place
        if self.block or name in self.people.writers:
            return
        self.block = self.world.blocker.transaction()
        self.wait_for(self.block.start())
        self.wait_for(self.world.blocker.execute(f"LOCK TABLE warehouse.{TABLES[feed]}"))
        if is_copied:
            self.people.copy(name, self.note(place, number), is_dated_late=False)
        else:
            self.people.rename_in(name, self.note(place, number))
        if self.services:
            self.wait_for(until(lambda: self.is_caught(name), "a load that waits"))
        if then:
            self.correct(then, is_twin=True)

    async def is_caught(self, name: str) -> bool:
        return name not in self.people.waiting() or await load_waits(self.world.sql)

    def let_go(self) -> None:
        if self.block:
            self.wait_for(self.block.rollback())
            self.block = None

    @precondition(lambda self: len(self.services) < MOST_SERVICES)
    @rule()
    def start(self) -> None:
        said = self.home / f"service_{next(self.started)}.log"
        service = Service(self.settings, said, **MORE)
        self.services.append(service)
        self.people.is_watched = True
        self.wait_for(until(service.is_watching, "a service that watches"))

    @precondition(lambda self: self.services)
    @rule(number=st.integers(0, MOST_SERVICES - 1))
    def kill(self, number: int) -> None:
        service = self.services.pop(number % len(self.services))
        service.kill()
        self.killed.add(service.pid)
        self.people.is_watched = bool(self.services)

    @precondition(lambda self: self.services and not self.block)
    @rule(number=st.integers(0, MOST_SERVICES - 1))
    def stop(self, number: int) -> None:
        self.services.pop(number % len(self.services)).stop()
        self.people.is_watched = bool(self.services)

    @rule()
    def settle(self) -> None:
        self.let_go()
        if not self.services:
            self.start()
        if not self.wait_for(self.expectations.wait_for_files(self.killed)):
            while self.services:
                self.services.pop().stop()
            self.start()
        self.wait_for(self.expectations.settle())

    def teardown(self) -> None:
        try:
            if not self.is_broken:
                self.come_to_an_end()
        finally:
            self.clear_away()

    def come_to_an_end(self) -> None:
        for name in list(self.people.writers):
            self.people.finish(name)
        self.settle()
        while self.services:
            self.services.pop().stop()
        shutil.rmtree(self.home)

    def clear_away(self) -> None:
        """Leaves nothing running, whatever went wrong, and shows what services said of it."""
        if self.is_broken:
            for said in sorted(self.home.glob("*.log")):
                sys.stdout.write(f"{said.name}\n{said.read_text()}\n")
        self.let_go()
        for file in self.people.writers.values():
            file.close()
        while self.services:
            self.services.pop().kill()
