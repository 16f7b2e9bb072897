"""Batches of messages, as consumers bring them in: fenced by offsets, in the order of commit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import Load
from app.loader import Tools
from app.pipelines import all_pipelines
from app.pipelines.risk_scores import PIPELINE
from app.settings import Settings
from app.sources import stream as streaming
from app.sources.messages import Message
from app.sources.stream import Stream, check, look_up
from app.sources.topic import Gathered
from app.store.scripts import Scripts, schema_names
from tests.acceptance.streams import check_values, message, numbers
from tests.applications import Application, applications_csv, some_applications
from tests.loading import Folder


@pytest.fixture
def stream(engine: AsyncEngine, settings: Settings) -> Stream:
    """A topic on its way into the risk scores."""
    scripts = Scripts(schema_names(settings))
    return Stream(Tools(engine, scripts, settings, all_pipelines()), PIPELINE, "risk-scores")


async def load_batch(stream: Stream, batch: Gathered) -> Load | None:
    """Checks a batch and brings it in."""
    return await streaming.load_batch(stream, check(stream, batch))


def gathered(rows: Sequence[Application], start: int | None, partition: int = 0) -> Gathered:
    """Rows as messages of one partition, from an offset on."""
    messages = [
        Message(partition, (start or 0) + number, message(row).encode(), b"1")
        for number, row in enumerate(rows)
    ]
    return Gathered(messages, {partition: start}, {partition: (start or 0) + len(rows)})


def together(*parts: Gathered) -> Gathered:
    """Messages of several partitions in one batch."""
    return Gathered(
        [each for part in parts for each in part.messages],
        {partition: start for part in parts for partition, start in part.starts.items()},
        {partition: end for part in parts for partition, end in part.ends.items()},
    )


async def test_a_batch_that_another_consumer_has_loaded_is_left_alone(
    stream: Stream, sql: asyncpg.Connection
) -> None:
    rows = some_applications(30)
    batch = gathered(rows, None)
    assert await load_batch(stream, batch)
    before = await sql.fetch("SELECT * FROM ops.load")

    assert await load_batch(stream, batch) is None
    assert await load_batch(stream, gathered(rows[10:], 10)) is None
    assert await load_batch(stream, gathered(rows, 60)) is None

    assert await sql.fetch("SELECT * FROM ops.load") == before
    assert await look_up(stream, (0, 1)) == {0: 30}
    await check_values(sql, rows)


async def test_a_batch_with_one_partition_that_was_taken_is_left_alone_as_a_whole(
    stream: Stream, sql: asyncpg.Connection
) -> None:
    taken, other = some_applications(10), some_applications(10, seed=1, first=11)
    assert await load_batch(stream, gathered(taken, None))

    assert (
        await load_batch(stream, together(gathered(other, None, 1), gathered(taken, None))) is None
    )

    assert await look_up(stream, (0, 1)) == {0: 10}
    await check_values(sql, taken)


async def test_consumers_with_the_same_messages_at_once_load_them_once(
    stream: Stream, sql: asyncpg.Connection
) -> None:
    rows = some_applications(40)

    loads = await asyncio.gather(*(load_batch(stream, gathered(rows, None)) for _ in range(4)))

    assert sum(load is not None for load in loads) == 1
    await check_values(sql, rows)


async def test_a_batch_that_fails_at_its_end_leaves_nothing_and_can_be_loaded_again(
    stream: Stream, sql: asyncpg.Connection
) -> None:
    rows = some_applications(20)
    await sql.execute(
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON ops.stream_offset
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
        """
    )
    with pytest.raises(asyncpg.RaiseError, match="refused"):
        await load_batch(stream, gathered(rows, None))
    for table in ("ops.load", "warehouse.risk_score", "staging.risk_scores", "ops.stream_offset"):
        assert await sql.fetchval(f"SELECT count(*) FROM {table}") == 0

    await sql.execute("DROP TRIGGER refuse ON ops.stream_offset")
    assert await load_batch(stream, gathered(rows, None))

    await check_values(sql, rows)


@pytest.mark.parametrize("seed", range(3))
async def test_values_are_the_same_however_messages_are_cut_into_batches(
    seed: int, stream: Stream, sql: asyncpg.Connection
) -> None:
    draw = random.Random(seed)
    rows = some_applications(400, seed)
    done = {0: 0, 1: 0}
    halves = {0: rows[:200], 1: rows[200:]}
    order: list[int] = []
    while any(done[partition] < 200 for partition in halves):
        parts = []
        for partition in draw.sample([0, 1], 2):
            start = done[partition]
            end = min(200, start + draw.choice([0, 1, 2, 7, 60, 150]))
            if end > start:
                parts.append(gathered(halves[partition][start:end], start or None, partition))
                order += [row.number for row in halves[partition][start:end]]
                done[partition] = end
        if parts:
            assert await load_batch(stream, together(*parts))

    assert await numbers(sql) == order
    await check_values(sql, rows)


async def test_a_file_loaded_between_batches_stands_between_their_rows(
    stream: Stream, engine: AsyncEngine, settings: Settings, sql: asyncpg.Connection
) -> None:
    first, file, last = (some_applications(60, seed, 1 + 60 * seed) for seed in range(3))
    assert await load_batch(stream, gathered(first, None))
    await Folder(settings, engine, sql).load("rejected.csv", applications_csv(file))
    assert await load_batch(stream, gathered(last, 60))

    in_file = [row.number for row in sorted(file, key=lambda row: row.day)]
    expected = [row.number for row in first], in_file, [row.number for row in last]
    assert await numbers(sql) == [number for part in expected for number in part]
    await check_values(sql, [*first, *file, *last])
