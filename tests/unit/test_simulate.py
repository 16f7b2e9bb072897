"""The simulated rows of a month: what the formula promises, and that they can be had again."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta
from itertools import islice, pairwise
from random import Random

import pytest

from app.sources.simulate import draw_rows


def first_instant(year: int, month: int) -> datetime:
    return datetime(year, month, 1)  # noqa: DTZ001 - as stored


MONTHS = [
    *((2023, month, 100) for month in range(1, 13)),
    (2024, 2, 1),
    (2023, 7, 1),
    (1999, 12, 7),
]


@pytest.mark.parametrize(("year", "month", "controller"), MONTHS)
def test_a_month_begins_at_its_first_instant_and_keeps_the_bounds_of_its_gaps(
    year: int, month: int, controller: int
) -> None:
    instants = [at for at, _ in draw_rows(year, month, controller)]
    end = first_instant(year, month) + timedelta(days=monthrange(year, month)[1])

    pace = min(13 - month, month) * controller
    shortest, longest = int(10_000 / pace), int(2 * 10_000 / pace)
    gaps = {(later - at).total_seconds() for at, later in pairwise(instants)}
    assert instants[0] == first_instant(year, month)
    assert end - timedelta(seconds=longest) <= instants[-1] < end
    assert all(shortest <= gap <= longest and gap.is_integer() for gap in gaps)
    assert controller < 100 or {shortest, longest} <= gaps


@pytest.mark.parametrize(("year", "month", "controller"), MONTHS)
def test_values_keep_their_bounds_which_are_double_at_weekends(
    year: int, month: int, controller: int
) -> None:
    pace = min(13 - month, month) * controller
    weekdays: list[int] = []
    weekends: list[int] = []
    for at, value in draw_rows(year, month, controller):
        (weekends if at.strftime("%a") in ("Sat", "Sun") else weekdays).append(value)

    assert all(pace <= value <= 2 * pace for value in weekdays)
    assert all(2 * pace <= value <= 4 * pace for value in weekends)
    # Every whole number between the bounds comes up, but for chance.
    if controller == 1:
        assert set(weekdays) == set(range(pace, 2 * pace + 1))
        assert set(weekends) == set(range(2 * pace, 4 * pace + 1))


def test_rows_come_from_pythons_generator_value_first_then_the_seconds_to_the_next_row() -> None:
    random = Random(2023 + 5)
    at, expected = first_instant(2023, 5), []
    while at < first_instant(2023, 6):
        low, high = (15, 30) if at.isoweekday() <= 5 else (30, 60)
        expected.append((at, random.randint(low, high)))
        at += timedelta(seconds=random.randint(666, 1333))

    assert list(draw_rows(2023, 5, 3)) == expected


def test_a_month_is_the_same_each_time_and_another_with_another_controller() -> None:
    again = list(draw_rows(2023, 3, 10))

    assert list(draw_rows(2023, 3, 10)) == again
    assert list(draw_rows(2023, 3, 11)) != again


@pytest.mark.parametrize("controller", [20_000, 1_000_000])
def test_rows_are_at_least_a_second_apart_however_many_are_asked_for(controller: int) -> None:
    rows = islice(draw_rows(2023, 2, controller), 20_000)
    gaps = {later[0] - row[0] for row, later in pairwise(rows)}

    assert gaps == {timedelta(seconds=1)}


def test_a_year_has_some_hundred_thousand_rows_most_of_them_in_summer() -> None:
    counts = [sum(1 for _ in draw_rows(2023, month, 100)) for month in range(1, 13)]

    assert 600_000 < sum(counts) < 800_000
    assert counts[0] < counts[2] < counts[5]
    assert counts[6] > counts[8] > counts[11]
