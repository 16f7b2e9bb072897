"""Produce: the rows of a risk scores file to a topic, a message each.

Rows whose structure is broken are told of and not sent; all others are sent as they stand, as it is
the consumer that checks them. Every message is acknowledged before `produce` returns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from app import files, router
from app.domain import Batch, Pipeline, Reject, Years
from app.errors import BrokerUnreachableError, FileError
from app.files import disk_errors, printable_name
from app.readers import Limits, open_reader
from app.settings import Settings
from app.sources import kafka, messages
from app.sources.kafka import kafka_errors

OPTIONS = {
    "enable.idempotence": True,
    # As the clients in Java choose a key's partition, so that both agree.
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
    "linger.ms": 20,
    # What waits to be sent, however large the file.
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 64 << 10,
    "message.timeout.ms": 30_000,
    "delivery.report.only.error": True,
}
HEADERS: list[tuple[str, str | bytes | None]] = [(messages.VERSION_HEADER, messages.VERSION)]
FULL_QUEUE_SECONDS = 0.1
LOOK_SECONDS = 0.2
# How many messages are handed over before the client's reports are looked at.
REPORTED_AFTER = 1_000


@dataclass(frozen=True, slots=True)
class ProduceRequest:
    """What to send, and whom to tell.

    years: the only ones to send; None for all. per_second: at most so many messages a second; None
    for no limit. on_reject: told of each row that is not sent. on_progress: told how many bytes
    of the file are read so far.
    """

    path: Path
    topic: str
    years: Years | None
    per_second: float | None
    on_reject: Callable[[Reject], None]
    on_progress: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Produced:
    """Rows of the file: sent and acknowledged, refused, and of other years."""

    sent: int
    refused: int
    other_years: int


def produce(settings: Settings, pipeline: Pipeline, request: ProduceRequest) -> Produced:
    """Sends a file's rows; returns when the brokers have acknowledged all of them. Blocks.

    Raises FileError for a file that is not of the feed, BrokerUnreachableError when the brokers do
    not answer, do not have the topic or do not acknowledge a message in time.
    """
    path = request.path.resolve()
    if not path.exists():
        raise FileError(
            found=f"no file {request.path}",
            expected="a file",
            remedy="check the path and the folder",
        )
    with files.open_file(path) as opened:
        with disk_errors():
            name, limits = printable_name(path.name), Limits.of(settings)
            reader = open_reader(opened, name, limits=limits)
        matched = router.match_header(reader.header, pipeline)
        if matched is None:
            raise FileError(
                found=f"the header {router.shown_header(reader.header)}",
                expected=f"the columns of {router.expected_columns(pipeline)}",
                remedy="name a file of this feed",
            )
        with kafka_errors(settings), Outbox(settings, request.topic) as outbox:
            outbox.find_topic()
            return send(outbox, reader.batches(matched[0]), request)


def send(outbox: Outbox, batches: Iterator[Batch], request: ProduceRequest) -> Produced:
    """Sends batches of rows one after the other, and waits for the last acknowledgement."""
    pace = Pace(request.per_second, outbox.wait)
    refused = other_years = 0
    for batch in batches:
        for reject in batch.rejects:
            request.on_reject(reject)
        frame = batch.frame if request.years is None else of_years(batch.frame, request.years)
        for key, value in messages.encode(frame):
            pace.wait_for(outbox.sent)
            outbox.send(key, value)
        refused += len(batch.rejects)
        other_years += len(batch.frame) - len(frame)
        request.on_progress(batch.bytes_read)
    outbox.wait_for_all()
    return Produced(outbox.sent, refused, other_years)


def of_years(frame: pl.DataFrame, years: Years) -> pl.DataFrame:
    """Gives the rows of these years, and those without a year that can be read, as a load does."""
    year = pl.col("application_date").str.extract(r"^\s*([0-9]{4})-").cast(pl.Int64)
    return frame.filter(year.is_between(years.first, years.last).fill_null(value=True))


class Pace:
    """Keeps to a rate. wait: waits for so many seconds, or less."""

    def __init__(self, per_second: float | None, wait: Callable[[float], None]) -> None:
        self._per_second = per_second
        self._wait = wait
        self._began = time.monotonic()

    def wait_for(self, sent: int) -> None:
        """Returns when it is time for one more message."""
        if self._per_second is None:
            return
        due = self._began + sent / self._per_second
        while (seconds := due - time.monotonic()) > 0:
            self._wait(seconds)


class Outbox:
    """A topic to send to. sent: how many messages were handed over."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self.sent = 0
        self._settings = settings
        self._topic = topic
        self._failure: KafkaError | None = None
        self._failures = 0
        self._trouble: KafkaError | None = None
        options = {**kafka.client_options(settings), **OPTIONS, "error_cb": self._note_trouble}
        self._producer = Producer(options)

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # what waits still would hold the command up
            self._producer.purge()
            self._producer.flush(LOOK_SECONDS)

    def find_topic(self) -> None:
        """Waits until the topic is there, which a broker may make when it is first asked for.

        Raises BrokerUnreachableError where it does not come to be.
        """
        until = time.monotonic() + kafka.ANSWER_SECONDS
        while True:
            error = self._look_up()
            if error is None:
                return
            if not (error.retriable() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART):
                break
            if time.monotonic() > until:
                break
            self.wait(LOOK_SECONDS)
        raise BrokerUnreachableError(
            f"The Kafka broker at {self._settings.kafka_bootstrap_servers} has no topic"
            f" {self._topic!r} and does not make it ({error.str()}); make it there, or name another"
        )

    def send(self, key: str | None, value: str) -> None:
        """Hands a message over; waits while too many others wait to be sent."""
        while True:
            try:
                self._producer.produce(
                    self._topic, value, key, headers=HEADERS, on_delivery=self._note
                )
            except BufferError:
                self.wait(FULL_QUEUE_SECONDS)
            else:
                break
        self.sent += 1
        if self.sent % REPORTED_AFTER == 0:
            self.wait(0)

    def wait(self, seconds: float) -> None:
        """Waits, and looks at what the brokers said meanwhile."""
        self._producer.poll(seconds)
        if self._failure is not None:
            raise self._refused()

    def wait_for_all(self) -> None:
        """Returns when every message was acknowledged."""
        while self._producer.flush(LOOK_SECONDS):
            self.wait(0)
        self.wait(0)

    def _look_up(self) -> KafkaError | None:
        """Gives what is wrong with the topic; None when it is there."""
        try:
            known = self._producer.list_topics(self._topic, timeout=kafka.ANSWER_SECONDS)
        except KafkaException as error:
            self._producer.poll(0)  # the error itself says no more than that nobody answered
            raise KafkaException(self._trouble or error.args[0]) from error
        wrong: KafkaError | None = known.topics[self._topic].error
        return wrong

    def _note_trouble(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            return
        # A broker that refuses us also closes the connection: the refusal is what helps.
        if self._trouble is None or error.code() not in kafka.AWAY:
            self._trouble = error

    def _note(self, error: KafkaError | None, _message: Message | TopicPartition) -> None:
        if error is not None:
            self._failures += 1
            self._failure = self._failure or error

    def _refused(self) -> BrokerUnreachableError:
        why = self._failure.str() if self._failure else ""
        return BrokerUnreachableError(
            f"The Kafka broker at {self._settings.kafka_bootstrap_servers} does not acknowledge"
            f" messages ({why}); of the {self.sent} handed over some were not delivered"
        )
