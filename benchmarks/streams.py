"""Row 15: messages of a topic streamed with their ma50, beside a bare consumer.

On a real broker: the one that KAFKA_BOOTSTRAP_SERVERS names, else one that is started here, where
Java and Maven are there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks import bare_consumer
from benchmarks.features import FORGET_APPLICATIONS, growth, make_file, per_second
from benchmarks.memory import peak_bytes
from benchmarks.results import Measured, Timer
from benchmarks.stand import PROJECT, Stand, environment_of, server

ROWS = 2_000_000
PARTITIONS = 4
WITH_BROKER = PROJECT / "tests" / "kafka" / "with_broker.sh"
# Tells its address, and runs until its input is closed.
SAY_AND_STAY = 'echo "$KAFKA_BOOTSTRAP_SERVERS"; read -r _'
ANSWER_SECONDS = 30
LOOK_SECONDS = 0.02
LONGEST_STREAM_SECONDS = 600
FORGET_STREAM = (*FORGET_APPLICATIONS[:-1], "DELETE FROM ops.stream_offset", "CHECKPOINT")
LOADED = "SELECT coalesce(sum(next_offset), 0) FROM ops.stream_offset WHERE topic = '{}'"
# Of the values of version 0, those that the window query over the rows as they lie does not give.
WRONG_VALUES = """
    SELECT count(*)
    FROM (
        SELECT application_id, round(avg(risk_score) OVER (ORDER BY rank RANGE 49 PRECEDING), 6)
        FROM (
            SELECT application_id, risk_score,
                count(risk_score) OVER (ORDER BY application_id) AS rank
            FROM warehouse.risk_score
        ) AS counted
    ) AS expected (application_id, mean)
    FULL JOIN warehouse.risk_score_feature_v0 AS kept USING (application_id)
    WHERE kept.application_id IS NULL OR expected.mean IS DISTINCT FROM kept.ma50
"""


@dataclass(frozen=True, slots=True)
class Filled:
    """A topic of a broker, with so many messages."""

    brokers: str
    name: str
    rows: int


def measure(timer: Timer, quick: bool) -> Iterator[Measured]:
    """Measures one consumer and two, and the memory of one; nothing where no broker can be had."""
    rows = ROWS // 10 if quick else ROWS
    with broker() as brokers:
        if brokers is None:
            print("row 15 is left out: it needs Java and Maven, or KAFKA_BOOTSTRAP_SERVERS")
            return
        with server() as stand:
            stand.app("migrate")
            few = fill(stand, brokers, rows // 10)
            many = fill(stand, brokers, rows)
            yield from compare_rates(stand, timer.slow, many)
            peaks = [stream(stand, topic, consumers=1).peak_bytes / 1e6 for topic in (few, many)]
            work = f"peak memory of `stream` (VmHWM) with {rows:,} messages"
            yield growth("15 memory", work, peaks, f"Sluice: {rows // 10:,} messages")


@contextmanager
def broker() -> Iterator[str | None]:
    """Gives the address of a broker; None where none is named and none can be started."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        return
    with subprocess.Popen(
        [WITH_BROKER, "bash", "-c", SAY_AND_STAY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout
        yield running.stdout.readline().strip() or None


def fill(stand: Stand, brokers: str, rows: int) -> Filled:
    """Makes a topic and sends it a file's rows."""
    topic = Filled(brokers, f"risk-scores-{rows}-{time.time_ns()}", rows)
    admin = AdminClient({"bootstrap.servers": brokers})
    made = admin.create_topics([NewTopic(topic.name, PARTITIONS, 1)])
    made[topic.name].result(ANSWER_SECONDS)
    path = make_file(stand, rows)
    seconds, _ = stand.app(
        "produce", str(path), "--topic", topic.name, KAFKA_BOOTSTRAP_SERVERS=brokers
    )
    print(f"  {rows:,} messages produced, {rows / seconds:,.0f} a second")
    return topic


def compare_rates(stand: Stand, timer: Timer, topic: Filled) -> Iterator[Measured]:
    """Streams the topic into empty tables, by the bare consumer and by us, again and again."""
    bare: list[float] = []
    ours: dict[int, list[float]] = {1: [], 2: []}
    for _ in timer.repetitions("row 15, run"):
        stand.execute(*FORGET_STREAM)
        bare.append(consume_barely(stand, topic))
        for consumers, seconds in ours.items():
            seconds.append(stream(stand, topic, consumers).seconds)
    work = f"{topic.rows:,} messages streamed with ma50, Python's start included"
    command = bare_consumer.COMMAND
    yield per_second("15", work, topic.rows, ours[1], bare, command)
    yield per_second("15 two", f"{work}, by two consumers", topic.rows, ours[2], bare, command)


def consume_barely(stand: Stand, topic: Filled) -> float:
    """Runs the peer; gives its seconds, Python's start included."""
    stand.execute(*bare_consumer.FRESH_TABLE)
    words = [stand.url, topic.brokers, topic.name, str(topic.rows)]
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "benchmarks.bare_consumer", *words], cwd=PROJECT, check=True
    )
    seconds = time.perf_counter() - began
    stand.execute("DROP TABLE public.messages_peer", "CHECKPOINT")
    return seconds


@dataclass(frozen=True, slots=True)
class Streamed:
    """How long a topic took, and the most memory that a consumer had."""

    seconds: float
    peak_bytes: float


def stream(stand: Stand, topic: Filled, consumers: int) -> Streamed:
    """Streams all of the topic into empty tables, from the start of the consumers to its end."""
    stand.execute(*FORGET_STREAM)
    loaded = LOADED.format(topic.name)
    began = time.perf_counter()
    with ExitStack() as stack:
        running = [stack.enter_context(consumer(stand, topic)) for _ in range(consumers)]
        while stand.value(loaded) < topic.rows:
            ended = [each.returncode for each in running if each.poll() is not None]
            if ended or time.perf_counter() - began > LONGEST_STREAM_SECONDS:
                raise RuntimeError(f"not all messages were loaded; consumers ended with {ended}")
            time.sleep(LOOK_SECONDS)
        streamed = Streamed(time.perf_counter() - began, max(peaks(running)))
    if wrong := stand.value(WRONG_VALUES):
        raise RuntimeError(f"{wrong} values are not those of the window query")
    return streamed


@contextmanager
def consumer(stand: Stand, topic: Filled) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `python -m app stream` on the topic until the end of the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "app", "stream", "--topic", topic.name],
        cwd=PROJECT,
        env=environment_of(stand.folder, stand.url, KAFKA_BOOTSTRAP_SERVERS=topic.brokers),
        stdout=subprocess.DEVNULL,
    ) as running:
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(timeout=30)


def peaks(running: Sequence[subprocess.Popen[bytes]]) -> list[float]:
    return [peak_bytes(each.pid) for each in running]
