"""How far the partitions of a topic are loaded, and the messages that were not.

Whoever loads holds the offsets, compares them with those it read from, and advances them, all in
the transaction of the rows: so a message is loaded once, whatever became of the consumers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import asyncpg

from app.domain import MessageReject
from app.store.scripts import Scripts


async def read(
    connection: asyncpg.Connection, scripts: Scripts, topic: str, partitions: Collection[int]
) -> dict[int, int]:
    """Gives the offset that each partition is to be read from; none for one never read."""
    rows = await connection.fetch(
        *scripts.call("stream/offsets", topic=topic, partitions=list(partitions))
    )
    return {row["partition"]: row["next_offset"] for row in rows}


async def hold(
    connection: asyncpg.Connection,
    scripts: Scripts,
    topic: str,
    starts: Mapping[int, int | None],
) -> bool:
    """Keeps others from advancing these partitions, until the transaction's end.

    Gives whether they stand where they were read from, None for one never read: else somebody
    has loaded these messages, and they must not be loaded again.
    """
    rows = await connection.fetch(
        *scripts.call("stream/hold_offsets", topic=topic, partitions=list(starts))
    )
    found = {row["partition"]: row["next_offset"] for row in rows}
    return all(found.get(partition) == start for partition, start in starts.items())


async def advance(
    connection: asyncpg.Connection,
    scripts: Scripts,
    topic: str,
    ends: Mapping[int, int],
    load_id: int,
) -> None:
    """Writes the offsets after the messages of a load, whose rows are in this transaction."""
    await connection.execute(
        *scripts.call(
            "stream/advance_offsets",
            topic=topic,
            partitions=list(ends),
            next_offsets=list(ends.values()),
            load_id=load_id,
        )
    )


async def keep_rejects(
    connection: asyncpg.Connection, scripts: Scripts, load_id: int, rejects: Sequence[MessageReject]
) -> None:
    """Writes the bad messages of a load, all of one topic."""
    if not rejects:
        return
    await connection.execute(
        *scripts.call(
            "stream/keep_rejects",
            load_id=load_id,
            topic=rejects[0].topic,
            line_numbers=[each.line_number for each in rejects],
            column_names=[each.column_name for each in rejects],
            reasons=[each.reason for each in rejects],
            raws=[each.raw for each in rejects],
            partitions=[each.partition for each in rejects],
            message_offsets=[each.message_offset for each in rejects],
        )
    )
