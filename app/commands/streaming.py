"""Streams: a file sent to a topic, and a topic loaded batch by batch until told to stop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import structlog

from app import threads
from app.domain import Load, Pipeline
from app.errors import RetryableError
from app.grace import in_time
from app.patience import Step, Trouble, or_revive, repeat
from app.pipelines import all_pipelines
from app.session import Session, stop_on_signals
from app.settings import Settings
from app.sources import produce as producing
from app.sources import stream as streaming
from app.sources.produce import Produced, ProduceRequest
from app.sources.stream import MicroBatch, Stream
from app.sources.topic import TopicReader

log = structlog.get_logger()

FEED = "risk_scores"


def feed_of(pipelines: Sequence[Pipeline]) -> Pipeline:
    """Gives the feed whose rows are sent as messages."""
    [feed] = [pipeline for pipeline in pipelines if pipeline.name == FEED]
    return feed


def produce(settings: Settings, request: ProduceRequest) -> Produced:
    """Sends a file's rows to a topic; returns when all are acknowledged."""
    return producing.produce(settings, feed_of(all_pipelines()), request)


async def stream(session: Session, topic: str) -> None:
    """Loads what comes in a topic, until SIGTERM or SIGINT."""
    feed, stop = feed_of(session.tools.pipelines), stop_on_signals()
    consumer = Consumer(Stream(session.tools, feed, topic), stop)
    given_up = "batch given up; its messages are loaded at the next start"
    await in_time(consumer.run(), stop, session.tools.engine, given_up)
    log.info("stopped")


class Consumer:
    """One member of the consumer group: loads a batch while it reads the next one."""

    def __init__(self, stream: Stream, stop: asyncio.Event) -> None:
        self._stream = stream
        self._stop = stop
        self._reader = TopicReader(stream.tools.settings, stream.topic)

    async def run(self) -> None:
        """Returns when `stop` is set and the batch under way is loaded.

        What was read of the next one stays in the topic. Waits while the database or the brokers
        cannot be reached; raises FileError where the topic has lost messages, ConfigError.
        """
        log.info("streaming", topic=self._stream.topic)
        try:
            while not self._stop.is_set():
                await self._go_on()
        finally:
            await threads.run(self._reader.close)

    async def _go_on(self) -> None:
        """Looks up where to read on, or loads batches for as long as there are any."""
        partitions = self._reader.asks_for
        if partitions is not None:
            await self._until_it_works(lambda: self._look_up(partitions))
            return
        batch = await self._read()
        while batch:
            batch = await self._load_and_read(batch)

    async def _look_up(self, partitions: tuple[int, ...]) -> None:
        offsets = await streaming.look_up(self._stream, partitions)
        await threads.run(self._reader.start_at, offsets)

    async def _read(self) -> MicroBatch | None:
        """Gives the next messages after their check; None when there are none for now."""
        given_up = threading.Event()

        def read() -> MicroBatch | None:
            gathered = self._reader.gather(lambda: self._stop.is_set() or given_up.is_set())
            return streaming.check(self._stream, gathered) if gathered else None

        return await threads.run_until(given_up, read)

    async def _load_and_read(self, batch: MicroBatch) -> MicroBatch | None:
        """Loads a batch, and gives the next one, if it follows on it."""
        load: Load | None = None

        async def load_batch() -> None:
            nonlocal load
            load = await streaming.load_batch(self._stream, batch)

        async with asyncio.TaskGroup() as tasks:
            upcoming = tasks.create_task(self._read())
            await self._until_it_works(load_batch)
        if load:
            return upcoming.result()
        if not self._stop.is_set():
            log.info("messages left to another consumer", offsets=dict(batch.gathered.starts))
            self._reader.forget()
        return None

    async def _until_it_works(self, step: Step) -> None:
        settings = self._stream.tools.settings
        await repeat(lambda: or_revive(step, settings), self._stop, Trouble(), RetryableError)
