"""The daemon: a watcher, a bounded queue, workers, and an orderly stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars

from app import loader, recovery, router
from app.domain import Arrival
from app.errors import FileChangedError, FileError, SluiceError
from app.export import export
from app.lanes import Lanes
from app.loader import Tools
from app.refresh import refresh
from app.watcher import Watcher

log = structlog.get_logger()

QUEUED_ARRIVALS = 1000
# Together with the end of a batch and the rollback this stays below the promised 10 seconds.
GRACE_SECONDS = 6.0
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
CHANGED_WAIT_SECONDS = 0.2


class Service:
    """Loads every file that appears in the imports folder, until told to stop."""

    def __init__(self, tools: Tools, stop: asyncio.Event) -> None:
        self._tools = tools
        self._stop = stop
        self._watcher = Watcher(tools.settings)
        self._lanes = Lanes(QUEUED_ARRIVALS)
        self._busy: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Watches and loads; returns when `stop` is set and the loads under way have ended.

        A load that does not end within the grace time is given up and rolled back; its file
        stays and is loaded at the next start.
        """
        await self._recover()
        if not self._stop.is_set():
            await self._watch_and_load()
        log.info("stopped")

    async def _watch_and_load(self) -> None:
        log.info("watching", folder=str(self._tools.settings.imports_dir))
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watcher.run(self._enqueue, self._stop))
            workers = [tasks.create_task(self._work()) for _ in range(self._tools.settings.workers)]
            await self._stop.wait()
            await self._wind_down(workers)
            watching.cancel()

    async def _recover(self) -> None:
        """Puts right what a killed service left behind; gives that up when `stop` is set."""
        async with asyncio.TaskGroup() as tasks:
            recovering = tasks.create_task(
                until_it_works(lambda: recovery.recover(self._tools), self._stop)
            )
            stopping = tasks.create_task(self._stop.wait())
            await asyncio.wait({recovering, stopping}, return_when=asyncio.FIRST_COMPLETED)
            recovering.cancel()
            stopping.cancel()

    async def _enqueue(self, arrival: Arrival) -> None:
        lane = router.lane_of(arrival.name, arrival.folder, self._tools.pipelines)
        log.debug("file is complete", file=arrival.name, file_bytes=arrival.file_bytes)
        await self._lanes.put(lane, arrival)

    async def _wind_down(self, workers: list[asyncio.Task[None]]) -> None:
        """Lets loads under way end for a while, and ends the workers."""
        for worker in workers:
            if worker not in self._busy:
                worker.cancel()
        _ended, unfinished = await asyncio.wait(workers, timeout=GRACE_SECONDS)
        for worker in unfinished:
            log.warning("load given up; its file is loaded at the next start")
            worker.cancel()

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task  # noqa: S101 - a coroutine always runs in a task
        while not self._stop.is_set():
            lane, arrival = await self._lanes.take()
            self._busy.add(task)
            try:
                await self._load(arrival)
            finally:
                self._busy.discard(task)
                self._lanes.release(lane)

    async def _load(self, arrival: Arrival) -> None:
        """Loads one arrival; nothing that goes wrong here ends the worker."""
        clear_contextvars()
        bind_contextvars(file=arrival.name)
        try:
            await self._load_or_look_again(arrival)
        except FileError as fault:
            log.error("file cannot be read", reason=str(fault))
        except Exception:
            log.exception("load crashed")

    async def _load_or_look_again(self, arrival: Arrival) -> None:
        """Loads the file unless it changed; then the watcher looks at it again, if it is there."""
        try:
            await until_it_works(lambda: self._load_if_current(arrival), self._stop)
        except FileChangedError as changed:
            log.info("file changed while it was looked at", reason=str(changed))
            self._watcher.forget(arrival.path, after_seconds=CHANGED_WAIT_SECONDS)
            await until_it_works(lambda: recovery.close_books(self._tools), self._stop)

    async def _load_if_current(self, arrival: Arrival) -> None:
        """Loads the file; raises FileChangedError when it is not the one handed over any more.

        It may have waited long, for its turn or for the database.
        """
        if not self._watcher.is_current(arrival.path):
            raise FileChangedError(f"{arrival.name} was written to, replaced or removed")
        await loader.load_file(arrival, self._tools)


async def until_it_works(step: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    """Repeats a step, ever more slowly, while the database or the disk keeps it from working.

    Says once what it waits for, and once when it is over. Returns without success when `stop`
    is set. Raises FileError and FileChangedError, which waiting does not mend.
    """
    waited_for, seconds = "", FIRST_WAIT_SECONDS
    while not stop.is_set():
        try:
            await step()
        except (FileError, FileChangedError):
            raise
        except SluiceError as trouble:
            if str(trouble) != waited_for:
                waited_for = str(trouble)
                log.warning("waiting", reason=waited_for)
        else:
            if waited_for:
                log.info("works again")
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
        seconds = min(2 * seconds, LONGEST_WAIT_SECONDS)


async def keep_derived(tools: Tools, stop: asyncio.Event, every_seconds: float) -> None:
    """Refreshes and exports again and again, as the cron sidecar does in containers."""
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_seconds)
            return
        await derive(tools)


async def derive(tools: Tools) -> None:
    """Refreshes and exports once; what keeps it from that is logged and left to the next time."""
    with outlived("refresh or export has to wait"):
        await refresh(tools.engine, tools.settings)
        await export(tools.engine, tools.settings)


@contextmanager
def outlived(phrase: str) -> Iterator[None]:
    """Logs what goes wrong in a step beside the loads, which must not end for it."""
    try:
        yield
    except SluiceError as trouble:
        log.warning(phrase, reason=str(trouble))
    except Exception:
        log.exception(phrase)
