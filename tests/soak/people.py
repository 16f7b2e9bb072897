"""Who drops what: one task for each lane, so that its files have an order that is known."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from tests.soak.bad_people import BadPeople
from tests.soak.dropping import Dropping
from tests.soak.loans_people import LoansPeople
from tests.soak.month_people import MonthPeople
from tests.soak.score_people import ScorePeople
from tests.soak.title_people import TitlePeople
from tests.soak.written import Written

SMALL_MONTHS = ((2022, 12), (2023, 1), (2023, 2), (2024, 2))
BIG_MONTH = (2023, 5)
EACH = 100_000  # numbers of one task's files
FLOOD_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything.

    pace: 1 for a run of minutes; less lets people hurry. big_rows: of the big month. flood: files
    of one flood. slowest_seconds: how long somebody takes to write a file in place, at most.
    """

    pace: float
    big_rows: int
    flood: int
    slowest_seconds: float


@dataclass
class Person:
    """Drops one file of a lane after the other. pause_seconds: between two, on the average."""

    number: int
    make: Callable[[int], Written]
    dropping: Dropping
    draw: random.Random
    pause_seconds: float
    floods: Callable[[int], Written] | None = None
    flood: int = 0
    _made: int = field(default=0, init=False)

    async def work(self) -> None:
        """Drops until the soak is told to stop, and ends with a whole file."""
        while not self.dropping.stop.is_set():
            if self.floods and self.draw.random() < FLOOD_SHARE:
                for _ in range(self.flood):
                    await self.dropping.drop(self.floods(self._next()), self.draw, "renamed")
            written = await asyncio.to_thread(self.make, self._next())
            await self.dropping.drop(written, self.draw)
            await self.dropping.pause(self.pause_seconds * self.draw.uniform(0.3, 1.7))

    def _next(self) -> int:
        self._made += 1
        return self.number * EACH + self._made


def everybody(seed: int, dropping: Dropping, scale: Scale) -> list[Person]:
    """Gives the people; each draws for itself, so the files do not depend on who is quicker."""
    draws = iter(random.Random(f"{seed} {n}") for n in range(100))
    numbers = iter(range(1, 100))

    def person(make: Callable[[int], Written], draw: random.Random, seconds: float) -> Person:
        return Person(next(numbers), make, dropping, draw, seconds * scale.pace)

    loans_draw = next(draws)
    loans = LoansPeople(loans_draw)
    loans_person = person(loans.next, loans_draw, 1.5)
    loans_person.floods, loans_person.flood = loans.small, scale.flood
    people = [loans_person]
    for year, month in SMALL_MONTHS:
        draw = next(draws)
        rows = draw.randint(500, 3000)
        people.append(person(MonthPeople(draw, datetime(year, month, 1), rows).next, draw, 4))  # noqa: DTZ001
    draw = next(draws)
    big = MonthPeople(draw, datetime(*BIG_MONTH, 1), scale.big_rows)  # noqa: DTZ001
    people.append(person(big.next, draw, 20))
    for kind, seconds in ((TitlePeople, 3), (ScorePeople, 3), (BadPeople, 5)):
        draw = next(draws)
        people.append(person(kind(draw).next, draw, seconds))
    return people
