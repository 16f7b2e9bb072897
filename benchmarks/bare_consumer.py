"""The peer of row 15: a bare consumer that copies messages into a table, with no check.

At least once, as its offsets go to Kafka after each commit; no ledger, no rejects, no features.
`python -m benchmarks.bare_consumer URL BROKERS TOPIC ROWS` ends when it has committed so many rows.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import asyncpg
from confluent_kafka import Consumer, Message

COMMAND = "benchmarks/bare_consumer.py: consume(10000), json.loads, asyncpg COPY, commit, no check"
FRESH_TABLE = (
    "DROP TABLE IF EXISTS public.messages_peer",
    """
    CREATE TABLE public.messages_peer (
        line bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        amount_requested numeric NOT NULL,
        application_date date NOT NULL,
        loan_title text,
        risk_score numeric,
        debt_to_income text,
        zip_code text,
        state text,
        employment_length text,
        policy_code numeric
    )
    """,
    "CHECKPOINT",
)
COLUMNS = (
    "amount_requested",
    "application_date",
    "loan_title",
    "risk_score",
    "debt_to_income",
    "zip_code",
    "state",
    "employment_length",
    "policy_code",
)
BATCH_ROWS = 10_000
WAIT_SECONDS = 1.0


def rows_of(messages: Iterable[Message]) -> Iterator[tuple[Any, ...]]:
    """Gives messages as rows of the table."""
    for message in messages:
        amount, day, title, score, *others, policy = json.loads(message.value() or b"").values()
        yield (
            Decimal(amount),
            date.fromisoformat(day),
            title,
            Decimal(score) if score else None,
            *others,
            Decimal(policy),
        )


async def consume(url: str, brokers: str, topic: str, rows: int) -> None:
    """Copies messages until there are so many rows, each batch in a transaction of its own."""
    connection = await asyncpg.connect(url)
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": f"bare-{uuid.uuid4().hex[:8]}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    count = 0
    while count < rows:
        messages = consumer.consume(BATCH_ROWS, WAIT_SECONDS)
        if not messages:
            continue
        async with connection.transaction():
            await connection.copy_records_to_table(
                "messages_peer", records=rows_of(messages), columns=COLUMNS
            )
        consumer.commit(asynchronous=False)
        count += len(messages)
    consumer.close()
    await connection.close()


if __name__ == "__main__":
    given_url, given_brokers, given_topic, given_rows = sys.argv[1:]
    asyncio.run(consume(given_url, given_brokers, given_topic, int(given_rows)))
