"""Consumers are killed at any moment, and compete for the same messages: each is loaded once."""

from __future__ import annotations

import random
from collections import deque
from functools import partial
from pathlib import Path

from tests.acceptance.front_door import Front, until
from tests.acceptance.streams import (
    ForkedStream,
    all_loaded,
    check_ledger,
    check_values,
    offsets,
    sent,
)
from tests.applications import some_applications
from tests.brokers import Topic

KILLS = 50
AT_ONCE = 4
ROWS_PER_KILL = 60
LONGEST_LIFE_SECONDS = 0.2
LIMIT_SECONDS = 60.0
# Single rows now and then, so that a kill often falls into a batch.
SMALL = {"KAFKA_BATCH_ROWS": "10", "KAFKA_BATCH_SECONDS": "0.02"}


async def test_fifty_kills_lose_no_message_and_load_none_twice(
    front: Front, topic: Topic, tmp_path: Path
) -> None:
    draw = random.Random(20080101)
    rows = some_applications(KILLS * ROWS_PER_KILL, seed=7)

    # Each has a group of its own and so reads all partitions: the others are what a consumer is
    # that does not know that its partitions went to another one.
    def start(number: int) -> ForkedStream:
        group = f"{topic.name}-{number}"
        said = tmp_path / f"said_{number}"
        return ForkedStream(front.settings, topic, said, KAFKA_GROUP=group, **SMALL)

    running = deque(start(number) for number in range(AT_ONCE))
    ended: list[ForkedStream] = []
    for kill in range(KILLS):
        before = await offsets(front.sql, topic)
        topic.send(sent(rows[kill * ROWS_PER_KILL : (kill + 1) * ROWS_PER_KILL]))
        victim = await running.popleft().started()
        if kill % 2:
            await until(partial(have_moved, front, topic, before), "a batch loaded")
        await victim.kill_after(draw.uniform(0, LONGEST_LIFE_SECONDS))
        ended.append(victim)
        running.append(start(AT_ONCE + kill))
    await all_loaded(front.sql, topic, LIMIT_SECONDS)

    await check_values(front.sql, rows)
    await check_ledger(front.sql, topic)
    for each in running:
        each.stop()
    assert any(each.has_said("messages left to another consumer") for each in [*ended, *running])


async def have_moved(front: Front, topic: Topic, before: dict[int, int]) -> bool:
    return await offsets(front.sql, topic) != before
