"""A topic read as one member of a consumer group, from offsets that the warehouse keeps.

The group only shares out the partitions: what was read is written nowhere but in PostgreSQL, in the
transaction of the rows. So each assignment is followed by a look there, by the caller, and anything
that does not follow on what is known from there makes the reader ask for the offsets again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from confluent_kafka import Message as KafkaMessage

from app.errors import FileError
from app.settings import Settings
from app.sources import kafka
from app.sources.kafka import kafka_errors
from app.sources.messages import VERSION_HEADER, Message

log = structlog.get_logger()

# Messages taken from the client at once, and their bytes in a batch: what is held in memory.
SLICE_MESSAGES = 500
BATCH_BYTES = 32 << 20
LOOK_SECONDS = 0.2

LOST = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001

Offsets = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Gathered:
    """Messages in the order they arrived, and what they make of the offsets.

    starts: for each partition the offset it was read from, None for its beginning. ends: the
    offset after its last message here.
    """

    messages: Sequence[Message]
    starts: Mapping[int, int | None]
    ends: Offsets


def options(settings: Settings) -> dict[str, Any]:
    """Gives what a consumer is made with."""
    return {
        **kafka.client_options(settings),
        "group.id": settings.kafka_group,
        "session.timeout.ms": int(settings.kafka_session_seconds * 1000),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # How soon a topic that was not there yet, or a further partition, is seen.
        "topic.metadata.refresh.interval.ms": 10_000,
        # Messages that are gone are told of, not jumped over.
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "queued.max.messages.kbytes": 16 << 10,
    }


class TopicReader:
    """A member of a consumer group. Its methods block, and never run side by side."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        # Kinds of trouble told of since messages came last, and what keeps one of the brokers away.
        self._told: set[int] = set()
        self._away = ""
        self._assigned: tuple[int, ...] | None = None
        # Where each partition is read on from; None until the caller has said.
        self._positions: dict[int, int | None] | None = None
        with kafka_errors(settings):
            self._consumer = Consumer({**options(settings), "error_cb": self._note})
            self._consumer.subscribe(
                [topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke
            )

    @property
    def asks_for(self) -> tuple[int, ...] | None:
        """The partitions whose offsets the caller has to look up; None when it knows them."""
        return self._assigned if self._positions is None else None

    def start_at(self, offsets: Offsets) -> None:
        """Reads on from these offsets; a partition that has none, from its beginning."""
        self._positions = {partition: offsets.get(partition) for partition in self._assigned or ()}
        starts = [
            TopicPartition(self._topic, partition, OFFSET_BEGINNING if offset is None else offset)
            for partition, offset in self._positions.items()
        ]
        with kafka_errors(self._settings):
            self._consumer.assign(starts)
        log.info("partitions assigned", topic=self._topic, offsets=self._positions.copy())

    def forget(self) -> None:
        """Gives up what was read since the offsets were looked up; they are asked for again."""
        self._positions = None

    def gather(self, is_over: Callable[[], bool]) -> Gathered | None:
        """Gives the messages of one batch, by number, bytes or time; None when there are none.

        The next call goes on after them, whether they are loaded by then or not. Gives up what it
        has when the partitions are shared out anew, and soon after `is_over`.
        Raises FileError where the topic has lost messages that are still to be read.
        """
        positions = self._positions
        gathering = _Gathering(positions or {})
        until = time.monotonic() + self._settings.kafka_batch_seconds
        rows = self._settings.kafka_batch_rows
        while (wait := until - time.monotonic()) > 0:
            room = min(SLICE_MESSAGES, rows - gathering.count)
            self._take(room, min(wait, LOOK_SECONDS), gathering)
            if is_over() or self._positions is not positions or self.asks_for is not None:
                return None
            if gathering.count >= rows or gathering.message_bytes >= BATCH_BYTES:
                break
        gathered = gathering.result()
        if gathered and self._positions is not None:
            self._positions = {**self._positions, **gathered.ends}
        return gathered

    def close(self) -> None:
        """Leaves the group, so that others get the partitions at once."""
        self._consumer.close()

    def _take(self, room: int, seconds: float, gathering: _Gathering) -> None:
        """Takes at most so many messages, within so many seconds."""
        with kafka_errors(self._settings):
            taken = self._consumer.consume(room, seconds)
        for message in taken:
            if error := message.error():
                if error.code() in LOST:
                    raise self._lost_messages(message)
                self._note(error)
            elif not gathering.add(message):
                self.forget()
                return
            elif self._told:
                self._note_working()

    def _lost_messages(self, message: KafkaMessage) -> FileError:
        partition = message.partition()
        position = (self._positions or {}).get(partition or 0)
        return FileError(
            found=f"no message with the offset {position} in partition {partition} of the topic"
            f" {self._topic!r}, which is to be read next",
            expected="all messages from there on",
            remedy="if the topic was made anew, or messages were deleted before they were"  # noqa: S608
            " read, go on with the oldest there is: DELETE FROM ops.stream_offset WHERE topic ="
            f" '{self._topic}' AND partition = {partition}",
        )

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Nothing is read before the caller has looked up from where.
        consumer.assign([])
        self._assigned = tuple(sorted(each.partition for each in partitions))
        self._positions = None
        self._note_working()

    def _revoke(self, _consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        self._assigned = self._positions = None

    def _note(self, error: KafkaError) -> None:
        """Says once what keeps messages from coming; the client goes on after it by itself.

        Once for each kind, as its words differ by the milliseconds that an attempt took.
        """
        code = error.code()
        if code in kafka.AWAY or error.retriable():
            if code != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
                self._away = error.str()
                return  # one of several, or soon followed by that
            reason = str(kafka.unreachable(self._settings, self._away or "no broker answers"))
        else:
            reason = f"Kafka gives no messages of {self._topic!r}: {error.str()}"
        if code not in self._told:
            log.warning("waiting", reason=reason)
        self._told.add(code)

    def _note_working(self) -> None:
        if self._told:
            log.info("works again")
        self._told.clear()
        self._away = ""


class _Gathering:
    """Messages of a batch as they come; each partition's have to follow on each other."""

    def __init__(self, positions: Mapping[int, int | None]) -> None:
        self.message_bytes = 0
        self._positions = positions
        self._messages: list[Message] = []
        self._ends: dict[int, int] = {}

    @property
    def count(self) -> int:
        return len(self._messages)

    def add(self, taken: KafkaMessage) -> bool:
        """Takes a message; gives whether it follows on what is known of its partition."""
        partition, offset, value = taken.partition(), taken.offset(), taken.value()
        if partition is None or offset is None or partition not in self._positions:
            return False
        next_offset = self._ends.get(partition, self._positions[partition])
        if next_offset is not None and offset < next_offset:
            return False
        self._ends[partition] = offset + 1
        self._messages.append(Message(partition, offset, value, version_of(taken)))
        self.message_bytes += len(value or b"")
        return True

    def result(self) -> Gathered | None:
        """Gives what was taken; None for nothing."""
        if not self._messages:
            return None
        starts = {partition: self._positions[partition] for partition in self._ends}
        return Gathered(self._messages, starts, self._ends)


def version_of(message: KafkaMessage) -> bytes | None:
    """Gives the schema's version as the message's header says."""
    headers = cast("Iterable[tuple[str, bytes | None]]", message.headers() or ())
    for name, value in headers:
        if name == VERSION_HEADER:
            return value
    return None
