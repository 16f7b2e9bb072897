"""Puts rows into the warehouse as loads do, and keeps them in Python to compute what is expected.

Expectations are exact fractions of the raw rows, never results of SQL.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import NamedTuple

import asyncpg

from app.refresh import Refreshed

HIST = "default_liquidation_rolling_avg_hist"
FIRST = date(2023, 2, 20)


def day_at(position: int) -> date:
    """A day of the tests, counted from the first."""
    return FIRST + timedelta(days=position)


class Counts(NamedTuple):
    """What a loans file says of one day."""

    loans: int
    defaults: int
    liquidations: int


class Rates(NamedTuple):
    """What is derived from the counts of a day and those before it."""

    ratio: Fraction | None
    prev_7d: Fraction | None
    trailing_7d: Fraction | None


class Stats(NamedTuple):
    """What is derived from a day's, month's or year's values."""

    row_count: int
    sum_values: int
    min_values: int
    max_values: int


@dataclass
class Warehouse:
    """The warehouse's loans and entity rows, in the database and here."""

    sql: asyncpg.Connection
    schema: str = "warehouse"
    load_id: int = 0
    loans: dict[date, Counts] = field(default_factory=dict)
    values: dict[date, list[int]] = field(default_factory=dict)

    async def change_loans(self, changes: Mapping[date, Counts | None]) -> None:
        """Sets or deletes the days' counts and notes the days, in one transaction."""
        self.load_id += 1
        async with self.sql.transaction():
            await self.sql.execute(
                f"DELETE FROM {self.schema}.loans WHERE repayment_date = ANY ($1::date[])",
                list(changes),
            )
            await self.sql.executemany(
                f"INSERT INTO {self.schema}.loans VALUES ($1, $2, $3, $4, '2024-01-01', $5, now())",
                [(day, *counts, self.load_id) for day, counts in changes.items() if counts],
            )
            await self.note("loans", list(changes))
        self.loans |= {day: counts for day, counts in changes.items() if counts}
        for day in (day for day, counts in changes.items() if not counts):
            self.loans.pop(day, None)

    async def change_values(self, changes: Mapping[date, Sequence[int]]) -> None:
        """Sets the days' values, none for a day that is to vanish, and notes the days."""
        self.load_id += 1
        async with self.sql.transaction():
            for day, values in changes.items():
                await self.make_partition(day)
                await self.sql.execute(
                    f"DELETE FROM {self.schema}.entity WHERE created_at::date = $1", day
                )
                await self.sql.executemany(
                    f"INSERT INTO {self.schema}.entity VALUES ($1, $2, $3, $4)",
                    [
                        (instant_of(day, position), position, value, self.load_id)
                        for position, value in enumerate(values)
                    ],
                )
            await self.note("entity", list(changes))
        self.values |= {day: list(values) for day, values in changes.items() if values}
        for day in (day for day, values in changes.items() if not values):
            self.values.pop(day, None)

    async def note(self, pipeline: str, days: Sequence[date]) -> None:
        await self.sql.executemany(
            "INSERT INTO ops.touched_day VALUES ($1, $2, $3)",
            [(pipeline, day, self.load_id) for day in days],
        )

    async def make_partition(self, day: date) -> None:
        first = day.replace(day=1)
        beyond = (first + timedelta(days=32)).replace(day=1)
        await self.sql.execute(
            f"CREATE TABLE IF NOT EXISTS {self.schema}.entity_{first:%Y_%m} PARTITION OF"
            f" {self.schema}.entity FOR VALUES FROM ('{first}') TO ('{beyond}')"
        )

    def rates(self, day: date) -> Rates:
        return Rates(
            self.ratio(day),
            self.mean_ratio(day - timedelta(days=7), day - timedelta(days=1)),
            self.mean_ratio(day - timedelta(days=6), day),
        )

    def ratio(self, day: date) -> Fraction | None:
        counts = self.loans.get(day)
        if counts is None or counts.defaults == 0:
            return None
        return Fraction(counts.liquidations, counts.defaults)

    def mean_ratio(self, first: date, last: date) -> Fraction | None:
        days = (first + timedelta(days=n) for n in range((last - first).days + 1))
        ratios = [ratio for day in days if (ratio := self.ratio(day)) is not None]
        return sum(ratios, Fraction()) / len(ratios) if ratios else None

    def stats(self, year: int, month: int | None = None, day: int | None = None) -> Stats | None:
        """Of all values of the year, the month or the day; None when there are none."""
        values = [
            value
            for at, values in self.values.items()
            if at.year == year and month in (None, at.month) and day in (None, at.day)
            for value in values
        ]
        return Stats(len(values), sum(values), min(values), max(values)) if values else None


def instant_of(day: date, position: int) -> datetime:
    """An instant of the day: its first, its last, or one in between."""
    if position == 0:
        return datetime.combine(day, time.min)
    if position == 1:
        return datetime.combine(day, time.max)
    return datetime.combine(day, time(position % 24, position // 24 % 60))


def mean_text(stats: Stats) -> str:
    """The mean to 6 decimals, halves away from zero, trailing zeros dropped."""
    mean = Fraction(stats.sum_values, stats.row_count)
    millionths = int(abs(mean) * 1_000_000 + Fraction(1, 2))
    whole, part = divmod(millionths, 1_000_000)
    text = f"{whole}.{part:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if mean < 0 and millionths else text


async def assert_rates_are_right(warehouse: Warehouse) -> None:
    """Compares the current rows with the raw ones: days and counts exactly, rates to 1e-9."""
    rows = await warehouse.sql.fetch(
        "SELECT * FROM warehouse.default_liquidation_rolling_avg ORDER BY repayment_date"
    )
    assert {row["repayment_date"]: Counts(*tuple(row)[1:4]) for row in rows} == warehouse.loans
    for row in rows:
        expected = warehouse.rates(row["repayment_date"])
        assert is_close(Rates(*tuple(row)[4:7]), expected), (row, expected)


def is_close(found: Rates, expected: Rates) -> bool:
    return all(
        one is other
        if one is None or other is None
        else abs(Fraction(one) - other) <= Fraction(1, 10**9)
        for one, other in zip(found, expected, strict=True)
    )


async def assert_daily_stats_are_right(warehouse: Warehouse) -> None:
    rows = await warehouse.sql.fetch(
        "SELECT day, row_count, sum_value, min_value, max_value FROM warehouse.entity_daily"
    )
    assert {row["day"]: tuple(row)[1:] for row in rows} == {
        day: (len(values), sum(values), min(values), max(values))
        for day, values in warehouse.values.items()
    }


def rows_changed(refreshed: list[Refreshed]) -> dict[str, int]:
    return {each.name: each.rows_changed for each in refreshed}


async def count_versions(sql: asyncpg.Connection) -> int:
    count: int = await sql.fetchval(f"SELECT count(*) FROM warehouse.{HIST}")
    return count


def random_counts(chance: random.Random, *, days: int) -> dict[date, Counts | None]:
    """A few days with new counts, without defaults, or gone."""
    changes: dict[date, Counts | None] = {}
    for day in (day_at(chance.randrange(days)) for _ in range(chance.randint(1, 6))):
        defaults = chance.choice([0, 1, 3, 7, chance.randint(1, 500)])
        counts = Counts(2000, defaults, chance.randint(0, 1000))
        changes[day] = chance.choice([counts, counts, counts, None])
    return changes
