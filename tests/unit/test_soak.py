"""The soak's own judgement: it sees what grows, and what differs, and is not fooled by noise."""

from __future__ import annotations

import random

import pytest

from tests.soak import gauges
from tests.soak.run import FLAT_CONNECTIONS, FLAT_HANDLES, FLAT_MEMORY_SHARE
from tests.soak.verdict import Verdict, differences

READINGS = 240


def memory(*, leak_mb: float, seed: int) -> list[float]:
    """A service that warms up, takes much for some loads and gives it back, and may leak."""
    draw = random.Random(seed)
    return [
        150.0
        + 60 * min(1.0, n / 40)
        + draw.choice((0, 0, draw.uniform(0, 120)))
        + draw.gauss(0, 2)
        + leak_mb * n / READINGS
        for n in range(READINGS)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_loads_that_take_memory_and_give_it_back_are_no_growth(seed: int) -> None:
    found = gauges.trend(memory(leak_mb=0, seed=seed))
    assert found
    assert found.growth < FLAT_MEMORY_SHARE * found.first


@pytest.mark.parametrize("seed", range(20))
def test_a_leak_below_the_noise_of_the_loads_is_seen(seed: int) -> None:
    found = gauges.trend(memory(leak_mb=40, seed=seed))
    assert found
    assert found.growth > FLAT_MEMORY_SHARE * found.first


@pytest.mark.parametrize("limit", [FLAT_HANDLES, FLAT_CONNECTIONS])
def test_a_file_or_a_connection_left_open_now_and_then_is_seen(limit: float) -> None:
    draw = random.Random(5)
    busy = [draw.choice((20, 20, 21, 24)) for _ in range(READINGS)]
    calm = gauges.trend([float(each) for each in busy])
    left = gauges.trend([float(each + n // 60) for n, each in enumerate(busy)])
    assert calm
    assert left
    assert calm.growth <= limit < left.growth


def test_too_few_readings_are_not_judged() -> None:
    assert gauges.trend([1.0] * 30) is None


def test_differences_name_what_is_missing_too_much_and_another() -> None:
    found = differences({"a": 1, "b": 2, "d": 4}, {"a": 1, "b": 3, "c": 5})
    assert sorted(found) == [
        "b: found 2, expected 3",
        "c: found 'nothing', expected 5",
        "d: found 4, expected 'nothing'",
    ]


def test_one_fault_makes_the_verdict_bad_and_what_is_only_told_does_not() -> None:
    verdict = Verdict()
    verdict.tell("files dropped", 5)
    verdict.note("loads", 5)
    assert verdict.is_good
    verdict.note("archive", 4, ["one is missing"])
    assert not verdict.is_good
