"""Lanes hand out each feed's arrivals in order, one at a time, and feeds side by side."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.domain import Arrival
from app.lanes import Lanes
from app.service import QUEUED_ARRIVALS

SOON_SECONDS = 0.05
LIMIT_SECONDS = 5.0


def arrival(name: str) -> Arrival:
    return Arrival(Path(name), name, None, 1, datetime(2023, 5, 9, tzinfo=UTC))


async def take(lanes: Lanes) -> tuple[str, str]:
    async with asyncio.timeout(LIMIT_SECONDS):
        lane, taken = await lanes.take()
    return lane, taken.name


async def takes_nothing(lanes: Lanes) -> bool:
    try:
        async with asyncio.timeout(SOON_SECONDS):
            await lanes.take()
    except TimeoutError:
        return True
    return False


async def test_arrivals_of_one_lane_come_in_order_and_one_at_a_time() -> None:
    lanes = Lanes(10)
    for name in ("a1", "a2", "a3"):
        await lanes.put("a", arrival(name))

    for name in ("a1", "a2", "a3"):
        assert await take(lanes) == ("a", name)
        assert await takes_nothing(lanes)
        lanes.release("a")
    assert await takes_nothing(lanes)


async def test_what_a_lane_hands_out_next_can_be_seen_and_stays() -> None:
    lanes = Lanes(10)
    for name in ("a1", "a2", "a3"):
        await lanes.put("a", arrival(name))

    assert await take(lanes) == ("a", "a1")
    assert lanes.next_of("a", 1) == [arrival("a2")]
    assert lanes.next_of("a", 9) == [arrival("a2"), arrival("a3")]
    lanes.release("a")
    assert await take(lanes) == ("a", "a2")
    lanes.release("a")
    assert await take(lanes) == ("a", "a3")
    assert lanes.next_of("a", 9) == []


async def test_what_is_skipped_is_not_handed_out_and_makes_room() -> None:
    lanes = Lanes(3)
    for name in ("a1", "a2", "a3"):
        await lanes.put("a", arrival(name))

    assert await take(lanes) == ("a", "a1")
    lanes.skip("a", 1)
    for name in ("a4", "a5"):
        async with asyncio.timeout(LIMIT_SECONDS):
            await lanes.put("a", arrival(name))
    lanes.release("a")

    assert await take(lanes) == ("a", "a3")


async def test_a_long_lane_does_not_keep_the_others_waiting() -> None:
    lanes = Lanes(10)
    for lane, name in (("a", "a1"), ("a", "a2"), ("b", "b1"), ("c", "c1")):
        await lanes.put(lane, arrival(name))

    assert [await take(lanes) for _ in range(3)] == [("a", "a1"), ("b", "b1"), ("c", "c1")]
    lanes.release("b")
    assert await takes_nothing(lanes)
    lanes.release("a")
    assert await take(lanes) == ("a", "a2")


async def test_an_arrival_for_a_lane_at_work_waits_for_its_release() -> None:
    lanes = Lanes(10)
    await lanes.put("a", arrival("a1"))
    await take(lanes)

    await lanes.put("a", arrival("a2"))

    assert await takes_nothing(lanes)
    lanes.release("a")
    assert await take(lanes) == ("a", "a2")


async def test_a_full_queue_holds_the_sender_back_until_something_is_taken() -> None:
    lanes = Lanes(1)
    await lanes.put("a", arrival("a1"))
    waiting = asyncio.create_task(lanes.put("b", arrival("b1")))
    done, _ = await asyncio.wait([waiting], timeout=SOON_SECONDS)
    assert not done

    assert await take(lanes) == ("a", "a1")

    async with asyncio.timeout(LIMIT_SECONDS):
        await waiting
    assert await take(lanes) == ("b", "b1")


async def test_a_lane_that_was_worked_off_takes_new_arrivals() -> None:
    lanes = Lanes(10)
    for name in ("a1", "a2"):
        await lanes.put("a", arrival(name))
        assert await take(lanes) == ("a", name)
        lanes.release("a")


@pytest.mark.parametrize("capacity", [1, 3])
async def test_a_taker_that_gives_up_loses_no_arrival(capacity: int) -> None:
    lanes = Lanes(capacity)
    assert await takes_nothing(lanes)

    await lanes.put("a", arrival("a1"))

    assert await take(lanes) == ("a", "a1")


async def test_an_arrival_put_back_comes_again_before_the_others_and_not_at_once() -> None:
    lanes = Lanes(10)
    for lane, name in (("a", "a1"), ("a", "a2"), ("b", "b1")):
        await lanes.put(lane, arrival(name))
    _lane, first = await lanes.take()

    lanes.put_back("a", first, after_seconds=4 * SOON_SECONDS)

    assert await take(lanes) == ("b", "b1")
    assert await takes_nothing(lanes)
    assert await take(lanes) == ("a", "a1")
    lanes.release("a")
    assert await take(lanes) == ("a", "a2")


async def test_an_arrival_put_back_makes_no_room_a_second_time() -> None:
    lanes = Lanes(1)
    await lanes.put("a", arrival("a1"))
    _lane, first = await lanes.take()
    await lanes.put("b", arrival("b1"))
    lanes.put_back("a", first, after_seconds=0)
    assert await take(lanes) == ("b", "b1")
    assert await take(lanes) == ("a", "a1")
    await lanes.put("c", arrival("c1"))

    waiting = asyncio.create_task(lanes.put("d", arrival("d1")))

    done, _ = await asyncio.wait([waiting], timeout=SOON_SECONDS)
    assert not done
    assert await take(lanes) == ("c", "c1")
    await asyncio.wait_for(waiting, LIMIT_SECONDS)


async def test_a_flood_of_one_lane_does_not_keep_another_lanes_arrival_out() -> None:
    lanes = Lanes(QUEUED_ARRIVALS)
    async with asyncio.timeout(LIMIT_SECONDS):
        for number in range(20_000):
            await lanes.put("a", arrival(f"a{number}"))
        await lanes.put("b", arrival("b1"))

    assert [await take(lanes) for _ in range(2)] == [("a", "a0"), ("b", "b1")]
