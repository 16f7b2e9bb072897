"""A Kafka broker for tests: the client library's own mock cluster, or the one that is named.

The mock lives in the process of the tests and listens on loopback, so commands of their own reach
it like any other broker. `KAFKA_BOOTSTRAP_SERVERS` names a real one to use in its place.
"""

from __future__ import annotations

import ctypes
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

GIVEN = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
PARTITIONS = 3
SECONDS = 30.0
PRODUCER_KIND = 0
ERROR_BYTES = 512

Headers = list[tuple[str, str | bytes | None]]
VERSION_1: Headers = [("schema-version", b"1")]
MOCK_FUNCTIONS: dict[str, tuple[Any, Sequence[Any]]] = {
    "rd_kafka_conf_new": (ctypes.c_void_p, ()),
    "rd_kafka_conf_set": (
        ctypes.c_int,
        (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t),
    ),
    "rd_kafka_new": (
        ctypes.c_void_p,
        (ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t),
    ),
    "rd_kafka_mock_cluster_new": (ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_int)),
    "rd_kafka_mock_cluster_bootstraps": (ctypes.c_char_p, (ctypes.c_void_p,)),
    "rd_kafka_mock_topic_create": (
        ctypes.c_int,
        (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int),
    ),
    "rd_kafka_mock_topic_set_error": (None, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, (ctypes.c_void_p, ctypes.c_int32)),
    "rd_kafka_mock_partition_delete_records": (
        ctypes.c_int,
        (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int64),
    ),
    "rd_kafka_mock_broker_set_down": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_int32)),
    "rd_kafka_mock_broker_set_up": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_int32)),
}


def load_library() -> ctypes.CDLL:
    """The very library that the client of the product uses."""
    folder = Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs")
    library = ctypes.CDLL(str(next(folder.glob("librdkafka*"))))
    for name, (result, arguments) in MOCK_FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Broker(Protocol):
    """Where topics are made."""

    address: str

    def make_topic(self, name: str, partitions: int) -> None:
        """Makes a topic."""


class MockBroker:
    """One broker of the mock cluster; it can be switched off and on, and lose messages.

    It ends with this process: to take it down is to wait for the library, without a limit.
    """

    def __init__(self) -> None:
        self._library = load_library()
        error = ctypes.create_string_buffer(ERROR_BYTES)
        options = self._library.rd_kafka_conf_new()
        # Nothing is ever asked of this client's own brokers: it only holds the cluster.
        for name, value in ((b"bootstrap.servers", b"127.0.0.1:1"), (b"log_level", b"0")):
            assert not self._library.rd_kafka_conf_set(options, name, value, error, ERROR_BYTES)
        self._client = self._library.rd_kafka_new(PRODUCER_KIND, options, error, ERROR_BYTES)
        assert self._client, error.value
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        assert self._cluster
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self.address: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def make_topic(self, name: str, partitions: int) -> None:
        made = self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        assert not made, made

    def refuse_topic(self, name: str) -> None:
        """Has the broker say that it neither has the topic nor makes it."""
        self._library.rd_kafka_mock_topic_set_error(self._cluster, name.encode(), 3)

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        """Loses the messages before an offset, as a retention time does."""
        assert not self._library.rd_kafka_mock_partition_delete_records(
            self._cluster, topic.encode(), partition, offset
        )

    def switch_off(self) -> None:
        """Ends every connection, and takes no new one."""
        self._library.rd_kafka_mock_broker_set_down(self._cluster, 1)

    def switch_on(self) -> None:
        """Takes connections again; topics and messages are still there."""
        self._library.rd_kafka_mock_broker_set_up(self._cluster, 1)


class GivenBroker:
    """The broker that the environment names."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._admin = AdminClient({"bootstrap.servers": address})

    def make_topic(self, name: str, partitions: int) -> None:
        made = self._admin.create_topics([NewTopic(name, partitions, 1)])
        made[name].result(SECONDS)


def start() -> Broker:
    """A broker for the run of the tests; the mock ends with this process."""
    return GivenBroker(GIVEN) if GIVEN else MockBroker()


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as it lies in a topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None


class Topic:
    """A topic of the test's own: what is sent to it, and what lies in it."""

    def __init__(self, broker: Broker, partitions: int = PARTITIONS) -> None:
        self.name = f"risk-scores-{uuid.uuid4().hex[:8]}"
        self.address = broker.address
        self.partitions = partitions
        broker.make_topic(self.name, partitions)
        self._options = {"bootstrap.servers": broker.address, "log_level": 0}

    def send(
        self,
        values: Iterable[str | bytes | None],
        headers: Headers | None = VERSION_1,
        partition: int | None = None,
    ) -> None:
        """Sends messages, to the partitions in turn unless one is named."""
        producer = Producer({**self._options, "linger.ms": 5})
        for number, value in enumerate(values):
            to = number % self.partitions if partition is None else partition
            producer.produce(self.name, value, partition=to, headers=headers)
        assert producer.flush(SECONDS) == 0

    def ends(self) -> dict[int, int]:
        """The offset after the last message of each partition."""
        with self._consumer() as consumer:
            return {
                number: consumer.get_watermark_offsets(TopicPartition(self.name, number), SECONDS)[
                    1
                ]
                for number in range(self.partitions)
            }

    def messages(self) -> list[Sent]:
        """All messages, partition by partition."""
        expected = sum(self.ends().values())
        found: list[Sent] = []
        with self._consumer() as consumer:
            consumer.assign(
                [
                    TopicPartition(self.name, number, OFFSET_BEGINNING)
                    for number in range(self.partitions)
                ]
            )
            until = time.monotonic() + SECONDS
            while len(found) < expected and time.monotonic() < until:
                found += [as_sent(each) for each in consumer.consume(1000, 0.1)]
        assert len(found) == expected
        return sorted(found, key=lambda each: (each.partition, each.offset))

    @contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        consumer = Consumer({**self._options, "group.id": "looks", "enable.auto.commit": False})
        yield consumer
        consumer.close()


def as_sent(message: confluent_kafka.Message) -> Sent:
    assert message.error() is None, message.error()
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    headers = cast("Headers | None", message.headers())
    return Sent(partition, offset, message.key(), message.value(), headers)
