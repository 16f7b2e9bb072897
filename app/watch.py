"""Passes on what is seen in the imports folder: hints for the watcher, and no more.

The kernel tells what happens there, or watchfiles asks again and again where it cannot. Both may
miss something, and say nothing of files already there; so whoever takes the hints looks at the
whole folder now and then.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path

import structlog
from watchfiles import Change, awatch

from app import files
from app.files import Identity
from app.folder import ImportsFolder
from app.inotify import FolderEvents
from app.settings import Settings

log = structlog.get_logger()

FIRST_RESTART_SECONDS = 0.1
PARTIAL_WATCH_SECONDS = 60.0
KERNEL_TELLS = sys.platform == "linux"
# By what the kernel says of trouble that does not pass by itself.
REMEDIES = {
    "watch limit reached": "raise the limit with `sysctl fs.inotify.max_user_watches=...`",
    "Too many open files": "raise the limit with `sysctl fs.inotify.max_user_instances=...`",
    "Permission denied": "let the service's user read that folder",
}


class Watch:
    """Passes on what is seen, and starts the watch again whenever it breaks.

    note: takes the paths that may have changed, or None for "anything may have".
    """

    def __init__(
        self,
        settings: Settings,
        folder: ImportsFolder,
        clock: Callable[[], float],
        note: Callable[[set[Path] | None], None],
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._clock = clock
        self._note = note
        self._end = asyncio.Event()
        self._watched: Identity | None = None
        self._reported = ""
        self._is_partial = False

    async def follow(self) -> None:
        """Watches until cancelled; a watch that breaks at once is tried less and less often."""
        pause_seconds = FIRST_RESTART_SECONDS
        while True:
            began, trouble = self._clock(), None
            try:
                await self._follow_once()
            except Exception as error:  # whatever ends the watch, sweeps go on
                trouble = error
            is_long = self._clock() - began > self._settings.sweep_seconds
            if is_long and not self._is_partial:
                pause_seconds, self._reported = FIRST_RESTART_SECONDS, ""
            if trouble:
                self._report(trouble)
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, self._settings.sweep_seconds)

    def restart_if_moved(self) -> None:
        """Ends a watch that still follows a folder which is no longer under the name."""
        current = files.identity_at(self._folder.path.resolve())
        if self._watched and not (current and current.is_same_file(self._watched)):
            self._end.set()

    async def _follow_once(self) -> None:
        self._is_partial = False
        path = self._folder.path
        self._folder.make_again()
        self._watched = files.identity_at(path.resolve())
        self._end = asyncio.Event()
        if KERNEL_TELLS and not self._settings.force_polling:
            await self._listen()
        else:
            await self._ask()

    async def _listen(self) -> None:
        """Passes on what the kernel tells, until the folder is gone.

        Where a feed folder could not be watched, that is tried again after a while.
        """
        events = FolderEvents(self._folder, self._note, self._tell_of_unwatched, self._end)
        with events.passed_on():
            while not self._end.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(PARTIAL_WATCH_SECONDS):
                        await self._end.wait()
                if self._is_partial:
                    return

    def _tell_of_unwatched(self, errors: ExceptionGroup[OSError]) -> None:
        self._is_partial = True
        self._report(errors)

    async def _ask(self) -> None:
        """Passes on what watchfiles finds, until the folder is gone."""
        path = self._folder.path
        # Asked for now, the sweep begins when this task next waits: in awatch, which by then
        # watches. So no file falls between the sweep and the watch.
        self._note(None)
        changes_seen = awatch(
            path,
            watch_filter=self._is_hint,
            stop_event=self._end,
            force_polling=self._settings.force_polling or None,
            ignore_permission_denied=True,
        )
        async with aclosing(changes_seen):
            async for changes in changes_seen:
                if (Change.deleted, str(path)) in changes:
                    return
                self._note({Path(changed) for _, changed in changes})

    def _is_hint(self, change: Change, path: str) -> bool:
        if change is Change.deleted:
            return path == str(self._folder.path)
        if "/." in path.removeprefix(str(self._folder.path)):  # mostly our own moves
            return False
        return self._folder.is_of_interest(Path(path))

    def _report(self, error: Exception) -> None:
        """Warns once of each kind of trouble, however often the watch is tried again."""
        causes = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        trouble = "; ".join(str(cause) for cause in causes)
        if trouble != self._reported:
            self._reported = trouble
            log.warning(
                "watch broke, sweeps go on until it is back",
                error=trouble,
                what_to_do=remedy_for(trouble, self._settings.sweep_seconds),
            )


def remedy_for(trouble: str, sweep_seconds: float) -> str:
    """Says what ends trouble with the watch; most of it passes by itself."""
    for words, remedy in REMEDIES.items():
        if words in trouble:
            return (
                f"{remedy}; until then some files are found by sweeps only, every"
                f" {sweep_seconds:g} seconds (SWEEP_SECONDS)"
            )
    return "nothing, unless this comes again and again"
