"""One run of drops, kills and restarts, drawn from a seed, and an oracle of what must come of it.

The oracle is plain Python over what was dropped: what is loaded, in which order, what is a
duplicate of what, and so every row, count and file there has to be.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable, Iterable, Mapping, Sized
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial

from tests.acceptance.crash_walk import Side
from tests.acceptance.file_contents import entity_csv, loans_csv
from tests.acceptance.forked import Running
from tests.applications import Application, applications_csv, some_applications
from tests.integration.warehouse_rows import Counts

MOST_KILLS = 15
LONGEST_LIFE_SECONDS = 0.3
LONGEST_REST_SECONDS = 0.03
EVENTS = ("watching", *["load started"] * 4, "load finished")
MONTHS = (date(2023, 1, 1), date(2023, 2, 1))
FIRST_DAY = date(2023, 3, 1)
BAD = b"repayment_date,loans,defaults,liquidations\n2022-01-01,3,1,1\n2022-01-02,many,1,1\n"

Values = dict[tuple[datetime, int], int]
Change = Callable[[], None]


@dataclass
class Oracle:
    """What was dropped, and what has to be there once all of it is loaded.

    ends: how the load of each file has to end, by name. rows: how many it has to read. contents:
    what each file held. latest: the content that was loaded last of each place.
    """

    ends: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    latest: dict[str, bytes] = field(default_factory=dict)
    loans: dict[date, Counts] = field(default_factory=dict)
    months: dict[date, Values] = field(default_factory=dict)
    titles: dict[str, tuple[int, str]] = field(default_factory=dict)
    scores: dict[str, list[Application]] = field(default_factory=dict)

    def add(self, name: str, rows: Sized, place: str, content: bytes, change: Change) -> None:
        """Takes a file in: a duplicate where its place has that very content already."""
        self.contents[name] = content
        is_same = self.latest.get(place) == content
        self.ends[name] = "duplicate" if is_same else "loaded"
        self.rows[name] = 0 if is_same else len(rows)
        if not is_same:
            self.latest[place] = content
            change()

    @property
    def entity(self) -> Values:
        return {key: value for month in self.months.values() for key, value in month.items()}

    @property
    def values_by_day(self) -> dict[date, list[int]]:
        days: dict[date, list[int]] = {}
        for (at, _), value in self.entity.items():
            days.setdefault(at.date(), []).append(value)
        return days


class Run:
    """The run of one seed: a folder people drop files into, and commands that are killed."""

    def __init__(self, seed: int, side: Side) -> None:
        self.draw = random.Random(seed)
        self.side = side
        self.oracle = Oracle()
        self.kills = 0
        self.kills_in_loads = 0
        self._dropped = 0

    async def go(self) -> None:
        """Drops, kills and restarts; at the end a service, a refresh and an export end well."""
        rounds = self.draw.randint(4, 7)
        while self.kills < rounds or (not self.kills_in_loads and self.kills < MOST_KILLS):
            await self._disturb()
        await self.side.serve()
        await self.side.run("refresh")
        await self.side.run("export")

    async def _disturb(self) -> None:
        """Drops files, and kills a command that was begun in between."""
        self._drop_some()
        if self.draw.random() < 0.3:
            await self._kill_soon(self.draw.choice(("refresh", "export", "watch")))
        else:
            await self._kill_amid(self.draw.choice(EVENTS))

    async def _kill_soon(self, word: str) -> None:
        """Kills a command at any instant, from its very start on."""
        running = await self.side.start(word)
        await self._rest(LONGEST_LIFE_SECONDS)
        await self._kill(running)

    async def _kill_amid(self, event: str) -> None:
        """Kills the service soon after it said something, while more is dropped."""
        if event != "watching":
            self.draw.choice((self._loans, self._month))()
        running = await self.side.start("watch")
        await running.wait_for(f'"event": "{event}"')
        if event == "watching":
            self._drop_some()
        await self._rest(LONGEST_REST_SECONDS)
        await self._kill(running)

    async def _kill(self, running: Running) -> None:
        with suppress(ProcessLookupError):
            running.signal(signal.SIGKILL)
        self.kills += await running.ended() == -signal.SIGKILL
        statuses = [load["status"] for load in await self.side.front.ledger()]
        self.kills_in_loads += "running" in statuses

    async def _rest(self, longest_seconds: float) -> None:
        """Lets the command run on for a while."""
        seconds = self.draw.uniform(0, longest_seconds)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), seconds)

    def _drop_some(self) -> None:
        kinds = (self._loans, self._month, self._titles, self._scores, self._again, self._bad)
        for _ in range(self.draw.randint(0, 3)):
            self.draw.choices(kinds, weights=(3, 4, 2, 2, 1, 1))[0]()

    def _name(self, name: str) -> str:
        self._dropped += 1
        return name.format(self._dropped)

    def _loans(self) -> None:
        first = self.draw.randint(0, 20)
        rows = {
            FIRST_DAY + timedelta(days=first + n): Counts(900, n % 4, self.draw.randint(0, 800))
            for n in range(self.draw.randint(1, 400))
        }
        change = partial(self.oracle.loans.update, rows)
        self._take_in("loans_{}.csv", rows, "loans", loans_csv(rows), change)

    def _month(self) -> None:
        """A month anew, or its last version with a few rows changed, in any order."""
        month = self.draw.choice(MONTHS)
        known = self.oracle.months.get(month)
        if known and self.draw.random() < 0.5:
            rows = dict(known)
            for key in self.draw.sample(list(rows), 5):
                rows[key] = self.draw.randint(-500, 500)
            rows.pop(self.draw.choice(list(rows)))
        else:
            rows = self._values(month)
        lines = list(rows.items())
        if self.draw.random() < 0.3:
            self.draw.shuffle(lines)
        self._take_in(
            f"{{}}_entity_{month:%Y-%m}.csv",
            rows,
            str(month),
            entity_csv(dict(lines)),
            partial(self.oracle.months.update, {month: rows}),
        )

    def _values(self, month: date) -> Values:
        count = self.draw.choice((40, 2_000, 30_000))
        first = datetime.combine(month, time())
        return {
            (first + timedelta(seconds=60 * n), n + 1): self.draw.randint(-500, 500)
            for n in range(count)
        }

    def _titles(self) -> None:
        titles = {f"title {self.draw.randint(0, 60)}": self.draw.randint(1, 9) for _ in range(30)}
        term = self._name("term {}")
        lines = ["title,pdl count,related", *(f"{title},{n},{term}" for title, n in titles.items())]
        rows = {title: (count, term) for title, count in titles.items()}
        content = "\n".join([*lines, ""]).encode()
        change = partial(self.oracle.titles.update, rows)
        self._take_in("titles_{}.csv", rows, "titles", content, change)

    def _scores(self) -> None:
        rows = some_applications(self.draw.choice((20, 400)), self._dropped, 10_000 * self._dropped)
        name = self._name("rejected_{}.csv")
        change = partial(self.oracle.scores.update, {name: rows})
        self._take_in(name, rows, name, applications_csv(rows), change)

    def _again(self) -> None:
        """What was loaded last of some place, under another name."""
        places = {"loans": "loans_{}.csv", "titles": "titles_{}.csv"}
        places |= {str(month): f"{{}}_entity_{month:%Y-%m}.csv" for month in MONTHS}
        known = [place for place in places if place in self.oracle.latest]
        if known:
            place = self.draw.choice(known)
            self._take_in(places[place], (), place, self.oracle.latest[place], nothing)

    def _bad(self) -> None:
        name = self._name("loans_bad_{}.csv")
        self.oracle.contents[name], self.oracle.ends[name] = BAD, "quarantined"
        self.oracle.rows[name] = 2
        self.side.front.drop(name, BAD)

    def _take_in(self, name: str, rows: Sized, place: str, content: bytes, change: Change) -> None:
        name = self._name(name)
        self.oracle.add(name, rows, place, content, change)
        self.side.front.drop(name, content)


def nothing() -> None:
    """What a duplicate changes."""


def in_load_order(oracle: Oracle, names: Iterable[str]) -> list[list[Application]]:
    """The files of applications, as the ledger says they were loaded."""
    return [oracle.scores[name] for name in names if name in oracle.scores]


def kept(contents: Mapping[str, bytes], ends: Mapping[str, str], *statuses: str) -> list[bytes]:
    """The contents of files whose loads ended so, sorted."""
    return sorted(contents[name] for name, end in ends.items() if end in statuses)
