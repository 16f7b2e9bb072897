"""Finds the complete files of the imports folder and hands each version over once.

First step of the flow: sweep + watch + completeness -> Arrival. The folder is the truth and
the watch only a hint: it drops events without a word and says nothing of files already there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from app import completeness, files
from app.completeness import Completeness, State
from app.domain import Arrival
from app.errors import ConfigError
from app.files import Identity
from app.folder import Candidate, ImportsFolder
from app.settings import Settings
from app.waits import Waits
from app.watch import Watch

log = structlog.get_logger()

Emit = Callable[[Arrival], Awaitable[None]]


class Watcher:
    """Hands over every complete file once per version.

    A version is path, inode, size, mtime and ctime. What lies in the folder at the start is new.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._folder = ImportsFolder.of(settings)
        self._observer = completeness.Observer(settings.settle_seconds, clock)
        self._emitted: dict[Path, Identity] = {}
        self._waits = Waits(settings.stale_file_seconds, clock)
        self._refused: set[Path] = set()
        self._hints: set[Path] = set()
        self._trouble = ""
        self._next_sweep = clock()
        self._wake = asyncio.Event()
        self._watch = Watch(settings, self._folder, clock, self._note)

    async def run(self, emit: Emit, stop: asyncio.Event) -> None:
        """Looks until `stop` is set, awaiting `emit` for each arrival, the oldest first.

        No file is looked at while `emit` waits, so a full queue holds the watcher back.
        Raises ConfigError when the folder is not there and cannot be made.
        """
        self._make_folder()
        async with asyncio.TaskGroup() as tasks:
            parts = [
                tasks.create_task(self._watch.follow()),
                tasks.create_task(self._look_on(emit)),
            ]
            await stop.wait()
            for part in parts:
                part.cancel()

    def _make_folder(self) -> None:
        path = self._folder.path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"The imports folder {path} cannot be made: {error.strerror}. Make it and give the"
                " user who runs this command write access, or set IMPORTS_DIR to another one."
            ) from error

    def forget(self, path: Path, *, after_seconds: float = 0.0) -> None:
        """Has the file handed over again, after that time, if it is still there and complete."""
        self._emitted.pop(path, None)
        self._waits.retry(path, after_seconds)
        self._wake.set()

    def knows(self, path: Path) -> bool:
        """Whether the file was handed over and is still there, or is looked at again."""
        return path in self._emitted or path in self._waits

    def has_handed_over(self, path: Path, opened: Identity) -> bool:
        """Whether what was opened is what was handed over last, and no file put in its place."""
        emitted = self._emitted.get(path)
        return bool(emitted and opened.has_same_content(emitted))

    def is_current(self, path: Path) -> bool:
        """Whether the file still is what was handed over last, and not a newer version."""
        emitted, current = self._emitted.get(path), files.identity_at(path)
        return bool(emitted and current and current.has_same_content(emitted))

    def _note(self, paths: set[Path] | None) -> None:
        """Takes hints; None stands for "anything may have changed"."""
        if paths is None:
            self._next_sweep = self._clock()
        else:
            self._hints |= paths
        self._wake.set()

    async def _look_on(self, emit: Emit) -> None:
        while True:
            for candidate, identity in await self._find_complete():
                await self._hand_over(candidate, identity, emit)
            await self._rest()

    async def _rest(self) -> None:
        """Waits for a hint, the next file that is due, or the next sweep."""
        instants = (self._next_sweep, self._waits.next_look())
        seconds = min(each for each in instants if each is not None) - self._clock()
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _find_complete(self) -> list[tuple[Candidate, Identity]]:
        """One look at what is hinted or due, or at everything when a sweep is due."""
        self._wake.clear()
        hints, self._hints = self._hints, set()
        complete = []
        for candidate, outcome in await self._look(hints):
            if outcome.is_complete and outcome.identity:
                complete.append((candidate, outcome.identity))
            else:
                self._put_off(candidate, outcome, is_hinted=candidate.path in hints)
        return complete

    async def _look(self, hints: set[Path]) -> list[tuple[Candidate, Completeness]]:
        """Gives the candidates whose time has come, and where each one stands."""
        now = self._clock()
        if is_sweep := now >= self._next_sweep:
            self._next_sweep = now + self._settings.sweep_seconds
        due = hints | self._waits.due()
        try:
            looked_at = await asyncio.to_thread(self._list_and_judge, due, hints, is_sweep)
        except OSError as error:
            self._report(error)
            return []
        if is_sweep:  # only a sweep lists the folder
            self._end_trouble()
        known = self._emitted.keys() | self._waits.paths() if is_sweep else due
        self._drop(known - {each.path for each, _ in looked_at})
        return [(each, outcome) for each, outcome in looked_at if outcome]

    def _list_and_judge(
        self, due: set[Path], hints: set[Path], is_sweep: bool
    ) -> list[tuple[Candidate, Completeness | None]]:
        """Gives the candidates, and where each stands whose time has come. Blocks."""
        found = self._sweep() if is_sweep else self._folder.candidates_at(due)
        return [(each, self._judge(each) if self._is_due(each, hints) else None) for each in found]

    def _sweep(self) -> list[Candidate]:
        self._folder.make_again()
        self._watch.restart_if_moved()
        return self._folder.candidates()

    def _is_due(self, candidate: Candidate, hints: set[Path]) -> bool:
        if self._emitted.get(candidate.path) == candidate.identity:
            return False
        return candidate.path in hints or not self._waits.is_early(candidate.path)

    def _judge(self, candidate: Candidate) -> Completeness:
        if candidate.refusal:
            return Completeness(State.NOT_REGULAR, candidate.refusal)
        outcome = self._observer.look(candidate.path)
        if outcome.identity and not outcome.identity.is_same_file(candidate.identity):
            # The path may even lead out of the folder by now; whether it does, the next look tells.
            return Completeness(State.SETTLING, "settling: replaced just now", None, 0.0)
        return outcome

    async def _hand_over(self, candidate: Candidate, identity: Identity, emit: Emit) -> None:
        path = candidate.path
        if not files.is_unchanged(path, identity):  # written to while others were handed over
            self._note({path})
            return
        self._drop({path})
        self._emitted[path] = identity
        await emit(
            Arrival(
                path=path,
                name=candidate.name,
                folder=candidate.folder.lower() if candidate.folder else None,
                file_bytes=identity.file_bytes,
                discovered_at=datetime.now(UTC),
            )
        )

    def _put_off(self, candidate: Candidate, outcome: Completeness, *, is_hinted: bool) -> None:
        match outcome.state:
            case State.GONE:
                self._drop({candidate.path})
            case State.NOT_REGULAR:
                self._refuse(candidate, outcome.reason)
            case _:
                self._emitted.pop(candidate.path, None)
                self._waits.put_off(candidate, outcome, is_hinted=is_hinted)

    def _refuse(self, candidate: Candidate, reason: str) -> None:
        """Leaves an entry alone until it changes, and says so once."""
        self._waits.drop(candidate.path)
        self._emitted[candidate.path] = candidate.identity
        if candidate.path not in self._refused:
            self._refused.add(candidate.path)
            log.warning(
                "entry is left alone",
                file=candidate.name,
                folder=candidate.folder,
                reason=reason,
                what_to_do="drop a file that the service's user may read, at most one folder deep",
            )

    def _report(self, error: OSError) -> None:
        """Says once what keeps the folder from being listed, however often that is tried."""
        if str(error) != self._trouble:
            self._trouble = str(error)
            log.warning(
                "imports folder cannot be listed",
                error=self._trouble,
                what_to_do="make it a folder that the service's user may read, write and enter;"
                " files wait until then",
            )

    def _end_trouble(self) -> None:
        if self._trouble:
            self._trouble = ""
            log.info("imports folder can be listed again")

    def _drop(self, paths: Iterable[Path]) -> None:
        """Forgets what was known of entries that are gone or handed over."""
        for path in paths:
            self._emitted.pop(path, None)
            self._waits.drop(path)
            self._refused.discard(path)
            self._observer.forget(path)
