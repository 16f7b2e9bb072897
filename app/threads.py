"""Runs blocking work in threads that never outlive the call that started them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator
from contextlib import aclosing
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")


async def run(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Gives the result of a blocking call; when cancelled, waits for the call to end first."""
    return await run_until(threading.Event(), call, *args, **kwargs)


async def run_until(
    stopped: threading.Event, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """As `run`; when cancelled, `stopped` is set, for a call that looks at it to end soon."""
    work = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stopped.set()
        await let_end([work])
        raise


async def at_hand(items: Iterable[T]) -> AsyncGenerator[T]:
    """Gives items that are there already, in the form of those that are waited for."""
    for item in items:
        yield item


async def read_ahead(items: Iterator[T]) -> AsyncGenerator[T]:
    """Gives the items of a blocking iterator, making the next one while one is being used."""
    upcoming = asyncio.ensure_future(asyncio.to_thread(next, items, None))
    try:
        while (item := await asyncio.shield(upcoming)) is not None:
            upcoming = asyncio.ensure_future(asyncio.to_thread(next, items, None))
            yield item
    finally:
        await let_end([upcoming])


async def map_ahead(call: Callable[[S], T], items: AsyncGenerator[S]) -> AsyncGenerator[T]:
    """Gives the results of a blocking call over items, in order.

    While one result is being used the next one is made, and the item after that is waited for.
    An error among the items arrives after the results of those before it.
    """
    under_way: deque[asyncio.Future[T]] = deque()
    trouble: Exception | None = None
    try:
        async with aclosing(items):
            while True:
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    break
                except Exception as error:
                    trouble = error
                    break
                under_way.append(asyncio.ensure_future(asyncio.to_thread(call, item)))
                if len(under_way) > 1:
                    yield await asyncio.shield(under_way[0])
                    under_way.popleft()
        while under_way:
            yield await asyncio.shield(under_way[0])
            under_way.popleft()
    finally:
        await let_end(under_way)
    if trouble:
        raise trouble


async def let_end(work: Collection[asyncio.Future[T]]) -> None:
    """Waits for work whose outcome is seen already, or of no use to anyone any more."""
    if work:
        await asyncio.wait(work)
    for each in work:
        if not each.cancelled():
            each.exception()
