"""A topic is loaded batch by batch: every message once, bad ones as rejects, features with it."""

from __future__ import annotations

import hashlib
import json

import asyncpg
import pytest

from tests.acceptance.conftest import Consume
from tests.acceptance.front_door import Front, counts_of, until
from tests.acceptance.streams import (
    all_loaded,
    check_ledger,
    check_values,
    message,
    numbers,
    offsets,
    sent,
    values,
)
from tests.applications import applications_csv, expected, some_applications
from tests.brokers import VERSION_1, Broker, Headers, Topic

ROW = some_applications(1)[0]
FIELDS: dict[str, object] = json.loads(message(ROW))
# Each with its headers, and the column and reason it is refused for.
BAD: list[tuple[str | bytes | None, Headers | None, str | None, str]] = [
    (message(ROW), None, None, "no header 'schema-version', expected 1"),
    (message(ROW), [("schema-version", b"2")], None, "schema version '2', expected 1"),
    (None, VERSION_1, None, "a message without a value (a tombstone)"),
    ("", VERSION_1, None, "not valid JSON (character 1)"),
    ("{", VERSION_1, None, "not valid JSON (character 2)"),
    ("[1]", VERSION_1, None, "not a JSON object"),
    ("7", VERSION_1, None, "not a JSON object"),
    (b'{"Zip Code": "\xff"}', VERSION_1, None, "bytes that do not decode as UTF-8"),
    (
        json.dumps({key: text for key, text in FIELDS.items() if key != "State"}),
        VERSION_1,
        None,
        "no field 'State'",
    ),
    (json.dumps(FIELDS | {"Colour": "red"}), VERSION_1, None, "an unknown field 'Colour'"),
    (message(ROW)[:-1] + ', "State": "NM"}', VERSION_1, None, "the key 'State' stands twice"),
    (
        json.dumps(FIELDS | {"State": ["NM"]}),
        VERSION_1,
        None,
        "a nested value under the key 'State'",
    ),
    (json.dumps(FIELDS | {"State": "\0"}), VERSION_1, None, "a NUL character"),
    (
        json.dumps(FIELDS | {"State": "\ud800"}),
        VERSION_1,
        None,
        "half of a character (a lone surrogate escape)",
    ),
    ("[" * 100_000, VERSION_1, None, "a nested value"),
    (
        json.dumps(FIELDS | {"Application Date": "2008-02-30"}),
        VERSION_1,
        "application_date",
        "'2008-02-30' is not a date as YYYY-MM-DD",
    ),
    (
        json.dumps(FIELDS | {"Amount Requested": ""}),
        VERSION_1,
        "amount_requested",
        "is empty, a value is needed",
    ),
    (
        json.dumps(FIELDS | {"Risk_Score": "-1.5"}),
        VERSION_1,
        "risk_score",
        "'-1.500000' is below 0",
    ),
]


async def test_a_file_produced_and_streamed_is_as_the_file_loaded(
    front: Front, consume: Consume, topic: Topic
) -> None:
    rows = some_applications(1000)
    path = front.path("rejected.csv")
    path.write_bytes(applications_csv(rows))

    done = await front.command(
        *("produce", str(path), "--topic", topic.name), KAFKA_BOOTSTRAP_SERVERS=topic.address
    )
    consumer = await consume(topic)
    await all_loaded(front.sql, topic)

    assert done == (0, f"rejected.csv: 1000 messages sent to {topic.name}, 0 rows refused\n")
    await check_values(front.sql, rows)
    await check_ledger(front.sql, topic)
    await consumer.stop()
    streamed = await columns_by_number(front.sql)
    await front.sql.execute("TRUNCATE warehouse.risk_score, warehouse.risk_score_feature")
    await front.command("load", str(path))
    assert await columns_by_number(front.sql) == streamed


async def columns_by_number(sql: asyncpg.Connection) -> list[tuple[object, ...]]:
    """All that the warehouse has of each application but its place."""
    rows = await sql.fetch(
        "SELECT amount_requested, application_date, loan_title, risk_score, debt_to_income,"
        " zip_code, state, employment_length, policy_code FROM warehouse.risk_score ORDER BY 1"
    )
    return [tuple(row) for row in rows]


async def test_bad_messages_are_rejects_and_the_stream_goes_on(
    front: Front, consume: Consume, topic: Topic
) -> None:
    good = some_applications(20)
    for value, headers, _column, _reason in BAD:
        topic.send([value], headers, partition=1)
    topic.send(sent(good))
    await consume(topic)

    await all_loaded(front.sql, topic)

    rejects = await front.rows(
        "SELECT topic, partition, message_offset, column_name, reason FROM ops.reject"
        " ORDER BY message_offset"
    )
    assert rejects == [
        (topic.name, 1, offset, column, reason)
        for offset, (_value, _headers, column, reason) in enumerate(BAD)
    ]
    await check_values(front.sql, good)
    await check_ledger(front.sql, topic)


async def test_rejects_shows_where_a_bad_message_stands(
    front: Front, consume: Consume, topic: Topic
) -> None:
    topic.send(["nonsense"], partition=2)
    await consume(topic)
    await all_loaded(front.sql, topic)
    [load] = await front.ledger()

    code, printed = await front.command("rejects", str(load["load_id"]))
    _, as_csv = await front.command("rejects", str(load["load_id"]), "--csv")

    assert (code, printed) == (
        0,
        f"topic {topic.name}, partition 2, offset 0: not valid JSON (character 1)\n    nonsense\n",
    )
    assert as_csv.splitlines() == [
        "line_number,column_name,reason,raw,topic,partition,message_offset",
        f"1,,not valid JSON (character 1),nonsense,{topic.name},2,0",
    ]


async def test_the_ledger_says_what_a_batch_was(
    front: Front, consume: Consume, broker: Broker
) -> None:
    topic = Topic(broker, partitions=1)
    values_sent = ["no application", *sent(some_applications(3))]
    topic.send(values_sent)
    await consume(topic)
    await all_loaded(front.sql, topic)

    [load] = await front.ledger()
    content = "".join(values_sent).encode()
    facts = ("pipeline", "scope", "file_name", "folder", "file_bytes", "sha256", "filed_path")
    assert {name: load[name] for name in facts} == {
        "pipeline": "risk_scores",
        "scope": None,
        "file_name": f"kafka:{topic.name}",
        "folder": None,
        "file_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "filed_path": None,
    }
    assert counts_of(load) == {"read": 4, "inserted": 3, "rejected": 1}
    assert await front.rows("SELECT DISTINCT load_id FROM warehouse.risk_score") == [
        (load["load_id"],)
    ]
    [seen] = (await front.status())["files"]
    assert seen["what_happened"] == "loaded: 3 inserted, 1 rejected"


async def test_nothing_to_read_is_nothing_written(
    front: Front, consume: Consume, topic: Topic
) -> None:
    consumer = await consume(topic)
    await consumer.wait_for("partitions assigned")

    await consumer.stop()

    assert (await front.ledger(), await offsets(front.sql, topic)) == ([], {})


async def test_messages_of_one_partition_keep_their_order_and_their_day_does_not_count(
    front: Front, consume: Consume, broker: Broker
) -> None:
    topic = Topic(broker, partitions=1)
    rows = some_applications(200)
    topic.send(sent(rows))
    await consume(topic)

    await all_loaded(front.sql, topic)

    assert await numbers(front.sql) == [row.number for row in rows]
    assert len(await front.ledger()) >= 4


@pytest.mark.parametrize("version", [1, 2])
async def test_a_running_stream_follows_the_active_version(
    version: int, front: Front, consume: Consume, broker: Broker
) -> None:
    topic = Topic(broker, partitions=1)
    first, then = some_applications(120), some_applications(120, seed=1, first=121)
    topic.send(sent(first))
    consumer = await consume(topic)
    await all_loaded(front.sql, topic)

    code, printed = await front.command("features", "activate", str(version))
    assert code == 0, printed
    code, printed = await front.command("features", "backfill", str(version))
    assert code == 0, printed
    topic.send(sent(then))
    await all_loaded(front.sql, topic)
    await consumer.stop()

    in_order = [[row] for row in [*first, *then]]
    assert await values(front.sql, version) == expected(version, in_order)
    assert await values(front.sql, 0) == expected(0, in_order)[: len(first)]
    shown = await front.rows(
        "SELECT DISTINCT _version FROM warehouse.risk_score_current WHERE amount_requested > 120"
    )
    assert shown == [(version,)]


async def test_a_consumer_goes_on_where_another_one_stopped(
    front: Front, consume: Consume, topic: Topic
) -> None:
    rows = some_applications(300)
    topic.send(sent(rows[:150]))
    first = await consume(topic)
    await all_loaded(front.sql, topic)
    await first.stop()
    loads = len(await front.ledger())
    topic.send(sent(rows[150:]))

    second = await consume(topic, KAFKA_GROUP=f"{topic.name}-of-another-name")
    await all_loaded(front.sql, topic)

    async def rows_read() -> bool:
        return bool(sum(event["read"] for event in second.events_named("batch loaded")) == 150)

    await until(rows_read, "the second one said that it read 150 rows")
    assert len(await front.ledger()) > loads
    await check_values(front.sql, rows)


async def test_consumers_of_a_group_share_the_partitions_and_take_over_those_of_the_others(
    front: Front, consume: Consume, topic: Topic
) -> None:
    rows = some_applications(900)
    first = await consume(topic)
    await first.wait_for("partitions assigned")
    assert first.partitions == [0, 1, 2]
    topic.send(sent(rows[:300]))

    second = await consume(topic)
    await second.wait_for("partitions assigned")
    await first.wait_for("partitions assigned", count=2)
    assert sorted([*first.partitions, *second.partitions]) == [0, 1, 2]
    topic.send(sent(rows[300:600]))
    await all_loaded(front.sql, topic)
    assert first.events_named("batch loaded")
    assert second.events_named("batch loaded")

    await first.kill()
    topic.send(sent(rows[600:]))
    await all_loaded(front.sql, topic)

    assert second.partitions == [0, 1, 2]
    await check_values(front.sql, rows)
    await check_ledger(front.sql, topic)


async def test_a_batch_under_way_is_finished_when_the_stream_is_told_to_stop(
    front: Front, consume: Consume, broker: Broker
) -> None:
    topic = Topic(broker, partitions=1)
    rows = some_applications(40)
    consumer = await consume(topic)
    await consumer.wait_for("partitions assigned")
    async with front.sql.transaction():
        await front.sql.execute("LOCK TABLE warehouse.risk_score")
        topic.send(sent(rows))

        async def waits() -> object:
            return await front.sql.fetchval(
                "SELECT 1 FROM pg_locks WHERE NOT granted"
                " AND relation = 'warehouse.risk_score'::regclass"
            )

        await until(waits, "a batch that waits for the table")
        consumer.process.terminate()

    await consumer.stop()

    assert await offsets(front.sql, topic) == {0: 40}
    await check_values(front.sql, rows)
