"""The database or the broker goes away, messages are lost, a consumer is late: what streams do.

These switch the broker off and on, so they always use the mock cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.acceptance.conftest import Consume
from tests.acceptance.front_door import LIMIT_SECONDS, Front
from tests.acceptance.streams import all_loaded, check_ledger, check_values, offsets, sent
from tests.applications import applications_csv, some_applications
from tests.brokers import MockBroker, Topic

SLUICE = "application_name = 'sluice' AND datname = current_database()"


class NoBroker:
    """Takes connections on loopback and answers whoever asks in a language of its own."""

    def __init__(self) -> None:
        self._connections = 0
        self._news = asyncio.Condition()
        self.address = ""

    @classmethod
    @asynccontextmanager
    async def started(cls) -> AsyncIterator[NoBroker]:
        there = cls()
        async with await asyncio.start_server(there._answer, "127.0.0.1", 0) as server:
            there.address = "{}:{}".format(*server.sockets[0].getsockname())
            yield there

    async def _answer(self, asking: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        await asking.read(1)
        answer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        answer.close()
        async with self._news:
            self._connections += 1
            self._news.notify_all()

    async def asked(self, times: int) -> None:
        """Waits until it was asked that often."""
        async with asyncio.timeout(LIMIT_SECONDS), self._news:
            await self._news.wait_for(lambda: self._connections >= times)


@pytest.fixture
def mock() -> MockBroker:
    """A broker that no other test uses."""
    return MockBroker()


@pytest.fixture
def topic(mock: MockBroker) -> Topic:
    """A topic of that broker."""
    return Topic(mock)


async def test_a_database_that_is_away_is_waited_for(
    front: Front, consume: Consume, topic: Topic, server_url: str
) -> None:
    rows = some_applications(200)
    topic.send(sent(rows[:100]))
    consumer = await consume(topic)
    await all_loaded(front.sql, topic)
    name = await front.sql.fetchval("SELECT current_database()")
    other = await asyncpg.connect(server_url)
    try:
        await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await front.sql.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {SLUICE}"
        )
        topic.send(sent(rows[100:]))
        await consumer.wait_for("waiting")
    finally:
        await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await other.close()

    await all_loaded(front.sql, topic)

    await consumer.wait_for("works again")
    [waiting] = consumer.events_named("waiting")
    assert waiting["reason"].startswith("The database cannot be reached: ")
    await check_values(front.sql, rows)
    await check_ledger(front.sql, topic)


async def test_a_consumer_told_to_stop_while_the_database_is_away_stops(
    front: Front, consume: Consume, topic: Topic, server_url: str
) -> None:
    consumer = await consume(topic)
    await consumer.wait_for("partitions assigned")
    name = await front.sql.fetchval("SELECT current_database()")
    other = await asyncpg.connect(server_url)
    try:
        await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await front.sql.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {SLUICE}"
        )
        topic.send(sent(some_applications(10)))
        await consumer.wait_for("waiting")

        await consumer.stop()
    finally:
        await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await other.close()
    assert await offsets(front.sql, topic) == {}


async def test_a_broker_that_is_away_is_waited_for(
    front: Front, consume: Consume, mock: MockBroker, topic: Topic
) -> None:
    rows = some_applications(200)
    topic.send(sent(rows[:100]))
    consumer = await consume(topic)
    await all_loaded(front.sql, topic)

    mock.switch_off()
    await consumer.wait_for("waiting")
    mock.switch_on()
    topic.send(sent(rows[100:]))
    await all_loaded(front.sql, topic)

    await consumer.wait_for("works again")
    [waiting] = consumer.events_named("waiting")
    assert waiting["reason"].startswith(f"The Kafka broker at {mock.address} cannot be reached: ")
    await check_values(front.sql, rows)


async def test_a_consumer_started_without_a_broker_waits_for_it_and_can_be_stopped(
    front: Front, consume: Consume, mock: MockBroker, topic: Topic
) -> None:
    rows = some_applications(20)
    topic.send(sent(rows))
    mock.switch_off()
    consumer = await consume(topic)
    await consumer.wait_for("waiting")
    await consumer.stop()
    assert await front.ledger() == []

    again = await consume(topic)
    await again.wait_for("waiting")
    mock.switch_on()

    await all_loaded(front.sql, topic)
    await check_values(front.sql, rows)


async def test_a_refusal_that_comes_again_and_again_is_said_once(
    front: Front, consume: Consume, topic: Topic
) -> None:
    async with NoBroker.started() as server:
        consumer = await consume(
            topic, KAFKA_BOOTSTRAP_SERVERS=server.address, KAFKA_SECURITY_PROTOCOL="SSL"
        )

        await server.asked(20)
        await consumer.stop()

    reasons = [event["reason"] for event in consumer.events_named("waiting")]
    # The client calls what it cannot read now a refusal, now a broker that is away.
    assert {reason.split(":")[0] for reason in reasons} <= {
        f"Kafka gives no messages of '{topic.name}'",
        f"The Kafka broker at {server.address.split(':')[0]}",
    }
    assert 1 <= len(reasons) <= 2
    assert any("SSL" in reason for reason in reasons)
    assert await front.ledger() == []


async def test_messages_lost_before_they_were_read_end_the_stream_and_say_how_to_go_on(
    front: Front, consume: Consume, mock: MockBroker, topic: Topic
) -> None:
    rows = some_applications(300)
    topic.send(sent(rows[:90]))
    first = await consume(topic)
    await all_loaded(front.sql, topic)
    await first.stop()
    topic.send(sent(rows[90:]))
    mock.delete_before(topic.name, 1, 60)

    code, printed = await front.command(
        *("stream", "--topic", topic.name),
        KAFKA_BOOTSTRAP_SERVERS=topic.address,
        KAFKA_GROUP=f"{topic.name}-late",
    )

    way_out = f"DELETE FROM ops.stream_offset WHERE topic = '{topic.name}' AND partition = 1"
    *_, said = printed.splitlines()
    assert (code, said) == (
        1,
        "Error: Found no message with the offset 30 in partition 1 of the topic"
        f" '{topic.name}', which is to be read next; expected all messages from there on. To do:"
        " if the topic was made anew, or messages were deleted before they were read, go on with"
        f" the oldest there is: {way_out}.",
    )
    await front.sql.execute(way_out)
    await consume(topic)
    await all_loaded(front.sql, topic)
    lost = {row.number for position, row in enumerate(rows[90:]) if position % 3 == 1}
    kept = {row.number for row in rows[90:]} - set(sorted(lost)[:30])
    found = await front.rows("SELECT amount_requested::int FROM warehouse.risk_score")
    assert {number for (number,) in found} == {row.number for row in rows[:90]} | kept


async def test_offsets_set_back_by_hand_are_read_again_from_there(
    front: Front, consume: Consume, topic: Topic
) -> None:
    rows = some_applications(30)
    topic.send(sent(rows))
    await consume(topic)
    await all_loaded(front.sql, topic)

    await front.sql.execute("UPDATE ops.stream_offset SET next_offset = 5 WHERE partition = 2")
    topic.send(["nonsense"] * 3)
    await all_loaded(front.sql, topic)

    again = {rows[position].number for position in range(2, 30, 3) if position // 3 >= 5}
    twice = await front.rows(
        "SELECT amount_requested::int FROM warehouse.risk_score GROUP BY 1 HAVING count(*) = 2"
    )
    assert {number for (number,) in twice} == again


# Commands that cannot begin


async def test_without_a_broker_in_the_settings_both_commands_say_so(front: Front) -> None:
    path = front.path("rejected.csv")
    path.write_bytes(applications_csv(some_applications(3)))
    said = (
        2,
        "Error: KAFKA_BOOTSTRAP_SERVERS is not set; name the brokers, as in localhost:9092\n",
    )

    for words in (("produce", str(path)), ("stream",)):
        assert await front.command(*words, KAFKA_BOOTSTRAP_SERVERS="") == said


async def test_produce_needs_a_broker_that_answers(front: Front, mock: MockBroker) -> None:
    path = front.path("rejected.csv")
    path.write_bytes(applications_csv(some_applications(3)))
    mock.switch_off()

    code, printed = await front.command("produce", str(path), KAFKA_BOOTSTRAP_SERVERS=mock.address)

    assert code == 3
    assert len(printed.splitlines()) == 1
    assert printed.startswith(f"Error: The Kafka broker at {mock.address} cannot be reached: ")


async def test_produce_says_why_a_broker_refuses(front: Front) -> None:
    path = front.path("rejected.csv")
    path.write_bytes(applications_csv(some_applications(3)))

    async with NoBroker.started() as server:
        code, printed = await front.command(
            *("produce", str(path)),
            KAFKA_BOOTSTRAP_SERVERS=server.address,
            KAFKA_SECURITY_PROTOCOL="SSL",
        )

    assert code == 2
    assert len(printed.splitlines()) == 1
    assert printed.startswith(
        f"Error: Kafka refuses: ssl://{server.address}/bootstrap: SSL handshake failed: "
    )


async def test_produce_needs_a_topic_that_is_there_or_is_made(
    front: Front, mock: MockBroker
) -> None:
    path = front.path("rejected.csv")
    path.write_bytes(applications_csv(some_applications(3)))
    mock.refuse_topic("forbidden")

    code, printed = await front.command(
        *("produce", str(path), "--topic", "forbidden"), KAFKA_BOOTSTRAP_SERVERS=mock.address
    )

    assert (code, printed) == (
        3,
        f"Error: The Kafka broker at {mock.address} has no topic 'forbidden' and does not make it"
        " (Broker: Unknown topic or partition); make it there, or name another\n",
    )
