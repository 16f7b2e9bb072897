"""Declined applications made here, and their features by whole numbers alone."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from tests.loading import csv_text

HEADER = (
    "Amount Requested",
    "Application Date",
    "Loan Title",
    "Risk_Score",
    "Debt-To-Income Ratio",
    "Zip Code",
    "State",
    "Employment Length",
    "Policy Code",
)
FIRST_DAY = date(2007, 5, 26)
TITLES = ("car", "Wedding, and the car", 'the "big" one', "two\nlines", "", "  debt ")
SCORES = ("", "", "0.0", "693.0", "703", "645.5", "0.000001", "990.123456")
RATIOS = ("10%", "-1%", "9.43%", "100%", "0%", "38.64%")
# From the millionths that scores are counted in to the 20 decimals of the exponential mean's state.
FURTHER = 10**14


@dataclass(frozen=True, slots=True)
class Application:
    """A row of a file. number: asked for as the amount, so that a row is known by it."""

    number: int
    day: date
    score: str
    title: str = "car"
    ratio: str = "10%"

    @property
    def fields(self) -> tuple[str, ...]:
        return (
            f"{self.number}.0",
            str(self.day),
            self.title,
            self.score,
            self.ratio,
            f"{self.number % 1000:03}xx",
            "NM",
            f"{self.number % 10} years",
            "0",
        )


Values = tuple[int, str | None, str | None]
"""A row's number, its ma50 and its ma100, as they are shown."""


def some_applications(
    count: int, seed: int = 0, first: int = 1, day: date = FIRST_DAY
) -> list[Application]:
    """That many applications of some days, not in order of days, with every quirk there is."""
    draw = random.Random(f"{seed} {count}")
    return [
        Application(
            first + position,
            day + timedelta(days=draw.randint(0, 5)),
            draw.choice(SCORES) if draw.random() < 0.5 else f"{draw.randint(300, 990)}.0",
            draw.choice(TITLES),
            draw.choice(RATIOS),
        )
        for position in range(count)
    ]


def rescored(file: Sequence[Application], *positions: int, score: str = "1.5") -> list[Application]:
    """The file with another score in some of its rows."""
    return [
        replace(row, score=score) if position in positions else row
        for position, row in enumerate(file)
    ]


def applications_csv(rows: Iterable[Application]) -> bytes:
    """The rows as the file comes."""
    return csv_text(HEADER, [row.fields for row in rows]).encode()


def in_order(files: Iterable[Iterable[Application]]) -> list[Application]:
    """The rows of files that were loaded one after the other: in each by day, then line."""
    return [row for file in files for row in sorted(file, key=lambda row: row.day)]


def expected(version: int, files: Iterable[Iterable[Application]]) -> list[Values]:
    """What a version shows of all rows of the files, in their order."""
    rows = in_order(files)
    scores = [millionths(row.score) if row.score else None for row in rows]
    numbers = [row.number for row in rows]
    fifty = list(exponential_means(scores) if version == 2 else means(scores, 50))
    hundred = [None] * len(rows) if version == 0 else list(means(scores, 100))
    return list(zip(numbers, fifty, hundred, strict=True))


def means(scores: Iterable[int | None], width: int) -> Iterator[str | None]:
    """The mean of the last scores up to each row; one that is missing is as if not there."""
    window: deque[int] = deque()
    total = 0
    for score in scores:
        if score is not None:
            window.append(score)
            total += score - (window.popleft() if len(window) > width else 0)
        yield shown(divided(total, len(window))) if window else None


def exponential_means(scores: Iterable[int | None]) -> Iterator[str | None]:
    """The exponential mean up to each row, its state rounded half up to 20 decimals each time."""
    state: int | None = None
    for score in scores:
        if score is not None:
            exact = score * FURTHER
            state = exact if state is None else divided(2 * exact + 49 * state, 51)
        yield None if state is None else shown(divided(state, FURTHER))


def millionths(score: str) -> int:
    """A score of at most six decimals as a whole number."""
    whole, _, decimals = score.partition(".")
    return int(whole) * 10**6 + int(decimals.ljust(6, "0"))


def shown(value: int) -> str:
    return f"{value // 10**6}.{value % 10**6:06}"


def divided(value: int, by: int) -> int:
    """Divides and rounds half up; nothing here is negative."""
    return (2 * value + by) // (2 * by)
