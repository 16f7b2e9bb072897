"""Consumers as people run them, and what has to be in the warehouse after them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from app.settings import Settings
from tests.acceptance.front_door import LIMIT_SECONDS, Daemon, until
from tests.applications import HEADER, Application, Values, expected
from tests.brokers import Topic
from tests.model.services import Service

# Small batches, so that there are many of them.
QUICK = {"KAFKA_BATCH_ROWS": "50", "KAFKA_BATCH_SECONDS": "0.1", "KAFKA_SESSION_SECONDS": "6"}
VALUES = """
    SELECT trunc(amount_requested)::int, ma50::text, ma100::text
    FROM warehouse.risk_score LEFT JOIN warehouse.risk_score_feature USING (application_id)
    WHERE version = $1 ORDER BY application_id
"""


class StreamProcess(Daemon):
    """`python -m app stream` on a topic."""

    def __init__(self, settings: Settings, topic: Topic, **more: str) -> None:
        self.words = ("stream", "--topic", topic.name)
        options = {**QUICK, "KAFKA_BOOTSTRAP_SERVERS": topic.address, **more}
        super().__init__(settings, **options)

    async def start(self, until: str = "streaming") -> None:
        await super().start(until)

    @property
    def partitions(self) -> list[int]:
        """Those it was assigned last."""
        *_, last = self.events_named("partitions assigned")
        return sorted(map(int, last["offsets"]))


class ForkedStream(Service):
    """The same, forked from a program that has imported everything, so that it is there at once."""

    def __init__(self, settings: Settings, topic: Topic, said: Path, **more: str) -> None:
        self.words = ("stream", "--topic", topic.name)
        options = {**QUICK, "KAFKA_BOOTSTRAP_SERVERS": topic.address, **more}
        super().__init__(settings, said, **options)

    async def started(self) -> ForkedStream:
        """Waits until it says that it streams."""

        async def is_streaming() -> bool:
            return self.has_said("streaming")

        await until(is_streaming, "streaming")
        return self

    def has_said(self, event: str) -> bool:
        return f'"event": "{event}"' in self.lines

    async def kill_after(self, seconds: float) -> None:
        """Ends it as a power cut would, after that time."""
        assert not await asyncio.to_thread(self.is_over, seconds), self.lines
        self.kill()


def message(row: Application) -> str:
    """A row as a message, written by hand."""
    return json.dumps(dict(zip(HEADER, row.fields, strict=True)))


def sent(rows: Iterable[Application]) -> list[str]:
    return [message(row) for row in rows]


async def offsets(sql: asyncpg.Connection, topic: Topic) -> dict[int, int]:
    """How far the topic's partitions are loaded, as the database says."""
    rows = await sql.fetch(
        "SELECT partition, next_offset FROM ops.stream_offset WHERE topic = $1", topic.name
    )
    return {row["partition"]: row["next_offset"] for row in rows}


async def all_loaded(
    sql: asyncpg.Connection, topic: Topic, limit_seconds: float = LIMIT_SECONDS
) -> None:
    """Waits until every message that lies in the topic is loaded or rejected."""
    ends = {partition: end for partition, end in topic.ends().items() if end}

    async def are_loaded() -> bool:
        return await offsets(sql, topic) == ends

    await until(are_loaded, f"loaded up to {ends}", limit_seconds)


async def numbers(sql: asyncpg.Connection) -> list[int]:
    """The applications' numbers in the order they have in the warehouse."""
    rows = await sql.fetch(
        "SELECT amount_requested FROM warehouse.risk_score ORDER BY application_id"
    )
    return [int(row["amount_requested"]) for row in rows]


async def values(sql: asyncpg.Connection, version: int) -> list[Values]:
    """What the warehouse has of a version, in the order of applications."""
    return [tuple(row) for row in await sql.fetch(VALUES, version)]


async def check_values(
    sql: asyncpg.Connection, rows: Sequence[Application], version: int = 0
) -> None:
    """Each row is there once, and its values are those that its order gives."""
    order = await numbers(sql)
    assert sorted(order) == sorted(row.number for row in rows)
    by_number = {row.number: row for row in rows}
    in_order = [[by_number[number]] for number in order]
    assert await values(sql, version) == expected(version, in_order)


async def check_ledger(sql: asyncpg.Connection, topic: Topic) -> None:
    """Every message counts once, whatever became of it, and nothing is left halfway."""
    ledger: list[Any] = await sql.fetch("SELECT * FROM ops.load ORDER BY load_id")
    assert {(load["file_name"], load["status"]) for load in ledger} == {
        (f"kafka:{topic.name}", "loaded")
    }
    assert all(load["filed_at"] and not load["filed_path"] for load in ledger)
    counts = await sql.fetchrow(
        "SELECT sum(rows_read), sum(rows_inserted), sum(rows_rejected) FROM ops.load"
    )
    assert counts
    rejects = await sql.fetchval("SELECT count(*) FROM ops.reject")
    rows = await sql.fetchval("SELECT count(*) FROM warehouse.risk_score")
    assert tuple(counts) == (sum(topic.ends().values()), rows, rejects)
    assert await sql.fetchval("SELECT count(*) FROM staging.risk_scores") == 0
