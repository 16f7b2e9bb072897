"""Threads end before the call that started them does, whatever happens to it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from app import threads
from app.examine import hash_content

LIMIT_SECONDS = 5.0


class Work:
    """A blocking call that a test can watch and let go on."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()
        self.has_ended = False

    def __call__(self) -> str:
        self.began.set()
        assert self.may_end.wait(LIMIT_SECONDS)
        self.has_ended = True
        return "done"


async def test_a_blocking_call_gives_its_result_and_its_error() -> None:
    assert await threads.run(sorted, [2, 1]) == [1, 2]
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 1, 0)


async def test_a_cancelled_call_waits_for_its_thread_and_is_cancelled_then() -> None:
    work = Work()
    running = asyncio.create_task(threads.run(work))
    assert await asyncio.to_thread(work.began.wait, LIMIT_SECONDS)

    running.cancel()
    asyncio.get_running_loop().call_later(0.05, work.may_end.set)
    with pytest.raises(asyncio.CancelledError):
        await running

    assert work.has_ended


class EndlessFile(io.RawIOBase):
    """A disk that gives one byte after the other, for as long as somebody reads."""

    def __init__(self) -> None:
        self.began = threading.Event()

    def readinto(self, buffer: Any) -> int:
        self.began.set()
        buffer[:1] = b"x"
        return 1


async def test_a_file_is_not_hashed_to_its_end_when_the_wait_for_it_is_cancelled() -> None:
    endless, stopped = EndlessFile(), threading.Event()
    hashing = asyncio.create_task(threads.run_until(stopped, hash_content, endless, stopped))
    assert await asyncio.to_thread(endless.began.wait, LIMIT_SECONDS)

    hashing.cancel()
    async with asyncio.timeout(LIMIT_SECONDS):
        with pytest.raises(asyncio.CancelledError):
            await hashing


def test_a_file_is_hashed_whole() -> None:
    content = bytes(range(256)) * 3000

    assert hash_content(io.BytesIO(content), threading.Event()) == (
        hashlib.sha256(content).hexdigest()
    )


async def test_items_come_in_order_and_the_next_is_made_while_one_is_used() -> None:
    made: list[int] = []
    second_is_made = threading.Event()

    def items() -> Iterator[int]:
        for number in range(3):
            made.append(number)
            if number == 1:
                second_is_made.set()
            yield number

    seen = []
    async with aclosing(threads.read_ahead(items())) as ahead:
        async for item in ahead:
            seen.append(item)
            if item == 0:
                assert await asyncio.to_thread(second_is_made.wait, LIMIT_SECONDS)

    assert (seen, made) == ([0, 1, 2], [0, 1, 2])


async def test_an_error_among_the_items_arrives_after_those_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("damaged")

    async with aclosing(threads.read_ahead(items())) as ahead:
        assert await anext(ahead) == 1
        with pytest.raises(ValueError, match="damaged"):
            await anext(ahead)


async def test_a_reader_that_stops_early_leaves_no_thread_at_work() -> None:
    work = Work()

    def items() -> Iterator[str]:
        yield "first"
        yield work()

    async with aclosing(threads.read_ahead(items())) as ahead:
        assert await anext(ahead) == "first"
        assert await asyncio.to_thread(work.began.wait, LIMIT_SECONDS)
        asyncio.get_running_loop().call_later(0.05, work.may_end.set)

    assert work.has_ended


async def numbers(*given: int | Exception) -> AsyncGenerator[int]:
    for each in given:
        if isinstance(each, Exception):
            raise each
        yield each


async def test_results_come_in_order_though_the_next_is_made_while_one_is_used() -> None:
    second_began = threading.Event()

    def double(number: int) -> int:
        if number == 1:
            second_began.set()
        return 2 * number

    seen = []
    async with aclosing(threads.map_ahead(double, numbers(0, 1, 2))) as results:
        async for result in results:
            seen.append(result)
            if result == 0:
                assert await asyncio.to_thread(second_began.wait, LIMIT_SECONDS)

    assert seen == [0, 2, 4]


async def test_an_error_among_the_items_arrives_after_the_results_before_it() -> None:
    results = threads.map_ahead(lambda number: -number, numbers(1, 2, ValueError("damaged")))
    async with aclosing(results):
        assert await anext(results) == -1
        assert await anext(results) == -2
        with pytest.raises(ValueError, match="damaged"):
            await anext(results)


async def test_an_error_of_the_call_ends_the_results() -> None:
    results = threads.map_ahead(lambda number: 1 // number, numbers(1, 0, 1))
    async with aclosing(results):
        assert await anext(results) == 1
        with pytest.raises(ZeroDivisionError):
            await anext(results)


async def test_results_nobody_waits_for_leave_no_thread_at_work() -> None:
    work = Work()

    def call(number: int) -> str:
        return work() if number else "first"

    async with aclosing(threads.map_ahead(call, numbers(0, 1, 2))) as results:
        assert await anext(results) == "first"
        assert await asyncio.to_thread(work.began.wait, LIMIT_SECONDS)
        asyncio.get_running_loop().call_later(0.05, work.may_end.set)

    assert work.has_ended
