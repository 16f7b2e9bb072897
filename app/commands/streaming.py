"""Streams: a file sent to a topic, and a topic loaded batch by batch until told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from app import threads
from app.domain import Load, Pipeline
from app.errors import RetryableError
from app.pipelines import all_pipelines
from app.service import Step, Trouble, repeat
from app.session import Session, stop_on_signals
from app.settings import Settings
from app.sources import produce as producing
from app.sources import stream as streaming
from app.sources.produce import Produced, ProduceRequest
from app.sources.stream import Stream
from app.sources.topic import Gathered, TopicReader

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
    feed = feed_of(session.tools.pipelines)
    await Consumer(Stream(session.tools, feed, topic), stop_on_signals()).run()


class Consumer:
    """One member of the consumer group: reads a batch, loads it, reads the next one."""

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
        log.info("stopped")

    async def _go_on(self) -> None:
        partitions = self._reader.asks_for
        if partitions is not None:
            await self._until_it_works(lambda: self._look_up(partitions))
        elif gathered := await threads.run(self._reader.gather, self._stop.is_set):
            await self._until_it_works(lambda: self._load(gathered))

    async def _look_up(self, partitions: tuple[int, ...]) -> None:
        offsets = await streaming.look_up(self._stream, partitions)
        await threads.run(self._reader.start_at, offsets)

    async def _load(self, gathered: Gathered) -> None:
        load: Load | None = await streaming.load_batch(self._stream, gathered)
        if load:
            self._reader.note_loaded(gathered)
            return
        log.info("messages left to another consumer", offsets=dict(gathered.starts))
        self._reader.forget()

    async def _until_it_works(self, step: Step) -> None:
        await repeat(step, self._stop, Trouble(), RetryableError)
