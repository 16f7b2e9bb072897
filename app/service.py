"""The daemon: a watcher, a bounded queue, workers, and an orderly stop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import takewhile

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars

from app import grace, loader, recovery, router
from app.ahead import LookAhead
from app.domain import Arrival
from app.errors import DatabaseUnreachableError, FileChangedError, FileError, SluiceError
from app.examine import Examined
from app.lanes import Lanes
from app.loader import Tools
from app.patience import Trouble, or_revive, until_it_works, until_reachable
from app.together import load_together, sound_files
from app.troubles import Troubles
from app.watcher import Watcher

log = structlog.get_logger()

# Under 1 kB each. A flood of one feed below it keeps no other feed's file from being handed over.
QUEUED_ARRIVALS = 100_000
# Enough for what is paid once to be small for each, and few enough to end soon.
MOST_TOGETHER = 32
CHANGED_WAIT_SECONDS = 0.2
# The note of a file moved away may be lost with a server that crashes; nobody waits for it.
BOOKS_SECONDS = 60.0


class Service:
    """Loads every file that appears in the imports folder, until told to stop."""

    def __init__(self, tools: Tools, stop: asyncio.Event) -> None:
        self._tools = tools
        self._stop = stop
        self._watcher = Watcher(tools.settings)
        self._lanes = Lanes(QUEUED_ARRIVALS)
        self._ahead = LookAhead(tools)
        self._singly: set[Arrival] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self._troubles = Troubles(tools.settings.imports_dir)
        self._outage_over = asyncio.Event()

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
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watcher.run(self._enqueue, self._stop))
                workers = [
                    tasks.create_task(self._work()) for _ in range(self._tools.settings.workers)
                ]
                keeping = tasks.create_task(self._keep_books())
                await self._stop.wait()
                await self._wind_down(workers, keeping)
                watching.cancel()
        finally:
            self._troubles.close()
            await self._ahead.close()

    async def _recover(self) -> None:
        """Puts right what a killed service left behind; gives that up when `stop` is set."""
        async with asyncio.TaskGroup() as tasks:
            recovering = tasks.create_task(
                until_it_works(lambda: recovery.recover(self._tools), self._stop)
            )
            stopping = tasks.create_task(self._stop.wait())
            await asyncio.wait({recovering, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            await grace.give_up({recovering}, self._tools.engine)

    async def _keep_books(self) -> None:
        """Closes the books now and then, and after each outage, as a server's crash opens them."""
        while True:
            with suppress(TimeoutError):
                # `wait_for` of Python 3.11 loses a cancellation that comes with the event.
                async with asyncio.timeout(BOOKS_SECONDS):
                    await self._outage_over.wait()
            self._outage_over.clear()
            try:
                await or_revive(lambda: recovery.close_books(self._tools), self._tools.settings)
            except SluiceError as trouble:  # a load that meets it says so
                log.debug("books stay open", reason=str(trouble))
            except Exception:
                log.exception("books cannot be closed")

    async def _enqueue(self, arrival: Arrival) -> None:
        lane = router.lane_of(arrival.name, arrival.folder, self._tools.pipelines)
        log.debug("file is complete", file=arrival.name, file_bytes=arrival.file_bytes)
        await self._lanes.put(lane, arrival)

    async def _wind_down(
        self, workers: list[asyncio.Task[None]], keeping: asyncio.Task[None]
    ) -> None:
        """Lets loads under way end for a while, and ends the workers and the book keeping."""
        for worker in workers:
            if worker not in self._busy:
                worker.cancel()
        _ended, unfinished = await asyncio.wait(workers, timeout=grace.GRACE_SECONDS)
        for _ in unfinished:
            log.warning("load given up; its file is loaded at the next start")
        await grace.give_up({*unfinished, keeping}, self._tools.engine)

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task  # noqa: S101 - a coroutine always runs in a task
        while not self._stop.is_set():
            lane, arrival = await self._lanes.take()
            self._busy.add(task)
            again_seconds = None
            try:
                if not await self._load_together(lane, arrival):
                    again_seconds = await self._load(arrival)
            finally:
                self._busy.discard(task)
                if again_seconds is None:
                    self._lanes.release(lane)
                else:
                    self._lanes.put_back(lane, arrival, after_seconds=again_seconds)

    async def _load_together(self, lane: str, first: Arrival) -> bool:
        """Loads an arrival and those behind it in its lane, where they are small and sound.

        False when that does not work; then the first one is to be loaded by itself.
        """
        behind = self._lanes.next_of(lane, 2 * MOST_TOGETHER)
        if not behind or first in self._singly:
            self._singly.discard(first)
            return False
        clear_contextvars()
        arrivals = [first, *behind[: MOST_TOGETHER - 1]]
        self._ahead.begin(arrivals)
        try:
            seen = await self._ahead.see_all(arrivals)
            self._ahead.begin(behind[MOST_TOGETHER - 1 :])
            sound = sound_files(takewhile(self._is_current, seen))
            if len(sound) < 2:
                return False
            await load_together(sound, self._tools)
        except DatabaseUnreachableError as outage:  # the first one's own load waits until it ends
            bind_contextvars(file=first.name)
            self._troubles.of(first.path).note(outage)
            return False
        except Exception as trouble:
            log.info("files are loaded one by one", reason=str(trouble))
            self._singly.update(arrivals[1:])
            return False
        self._lanes.skip(lane, len(sound) - 1)
        await self._ahead.let_go(arrivals[: len(sound)])
        return True

    async def _load(self, arrival: Arrival) -> float | None:
        """Loads one arrival; nothing that goes wrong here ends the worker.

        Gives after how many seconds the lane has to try the same arrival again, if at all.
        """
        clear_contextvars()
        bind_contextvars(file=arrival.name)
        try:
            return await self._load_or_put_off(arrival)
        except FileError as fault:
            log.error("file cannot be read", reason=str(fault))
        except Exception:
            log.exception("load crashed")
        self._troubles.forget(arrival.path)
        return None

    async def _load_or_put_off(self, arrival: Arrival) -> float | None:
        """Loads the file, or has it tried again later, without a worker that waits.

        A file that the disk does not give is put off alone. What the database refuses it would
        refuse to the next file of the lane, too, and that one must not overtake; so the lane waits.
        """
        trouble = self._troubles.of(arrival.path)

        async def load() -> None:
            await or_revive(lambda: self._load_if_current(arrival), self._tools.settings)

        try:
            await until_reachable(load, self._stop, trouble, self._outage_over.set)
        except FileError:
            raise
        except FileChangedError as changed:
            await self._look_again(arrival, changed, trouble)
        except SluiceError as error:
            seconds = trouble.note(error)
            if not isinstance(error.__cause__, OSError):
                return seconds
            self._watcher.forget(arrival.path, after_seconds=seconds)
            self._troubles.forget_all_but(self._watcher.knows)
            return None
        self._troubles.forget(arrival.path)
        return None

    async def _look_again(
        self, arrival: Arrival, changed: FileChangedError, trouble: Trouble
    ) -> None:
        """Has a file looked at anew that is not the one that was handed over, or is gone.

        Gone, too, is one that was loaded and moved, where the connection was lost after that.
        """
        self._watcher.forget(arrival.path, after_seconds=CHANGED_WAIT_SECONDS)
        settled: list[str] = []

        async def close_books() -> None:
            settled.extend(await recovery.close_books(self._tools))

        await until_it_works(close_books, self._stop, trouble)
        if arrival.name not in settled:
            log.info("file changed while it was looked at", reason=str(changed))

    def _is_current(self, examined: Examined) -> bool:
        return self._watcher.is_current(examined.arrival.path)

    async def _load_if_current(self, arrival: Arrival) -> None:
        """Loads the file; raises FileChangedError when it is not the one handed over any more.

        It may have waited long, for its turn or for the database.
        """
        examined = await self._ahead.take(arrival)
        if not self._watcher.is_current(arrival.path):
            if examined:
                examined.opened.close()
            raise FileChangedError(f"{arrival.name} was written to, replaced or removed")
        examined = examined or await loader.look_at(arrival, self._tools)
        if not self._watcher.has_handed_over(arrival.path, examined.identity):
            examined.opened.close()
            raise FileChangedError(f"{arrival.name} was replaced before it was opened")
        await loader.load_examined(examined, self._tools)
