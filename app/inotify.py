"""What the kernel tells of the imports folder and of the feed folders in it, at once: inotify(7).

Each folder is watched by itself, as the kernel watches no tree; a feed folder made later is
watched from the event that tells of it.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inotify_simple import Event, INotify, flags

from app.folder import ImportsFolder

# A file has a name, new rights, or a writer less. Each write on its way would be no hint.
HINTS = flags.CREATE | flags.CLOSE_WRITE | flags.MOVED_TO | flags.ATTRIB
OF_TOP = HINTS | flags.MOVED_FROM | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR
OF_FEED_FOLDER = HINTS | flags.ONLYDIR | flags.DONT_FOLLOW
IS_GONE = flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT | flags.IGNORED
GONE_ERRORS = (errno.ENOENT, errno.ENOTDIR)

Note = Callable[[set[Path] | None], None]
Tell = Callable[[ExceptionGroup[OSError]], None]


class FolderEvents:
    """A watch on the imports folder and its feed folders.

    note: takes the paths that may have changed, or None for "anything may have": at the start,
    and when the kernel had more to tell than it keeps. tell: takes why some feed folders are not
    watched. end: is set when the imports folder is gone.
    """

    def __init__(self, folder: ImportsFolder, note: Note, tell: Tell, end: asyncio.Event) -> None:
        self._folder = folder
        self._note = note
        self._tell = tell
        self._end = end
        self._watched: dict[int, Path] = {}
        self._unwatched: dict[Path, OSError] = {}

    @contextmanager
    def passed_on(self) -> Iterator[None]:
        """Watches for the length of the block.

        Raises OSError when the kernel gives no watch on the imports folder itself.
        """
        loop = asyncio.get_running_loop()
        with INotify(nonblocking=True) as self._kernel:
            self._add(self._folder.path, OF_TOP)
            self._watch_feed_folders()
            loop.add_reader(self._kernel.fileno(), self._pass_on)
            try:
                # Asked for now that it is watched: no file falls between that sweep and the watch.
                self._note(None)
                yield
            finally:
                loop.remove_reader(self._kernel.fileno())

    def _pass_on(self) -> None:
        """Passes on what the kernel has told by now."""
        events = self._kernel.read(timeout=0)
        hints = {path for event in events for path in self._paths_of(event)}
        if any(event.mask & flags.Q_OVERFLOW for event in events):
            self._watch_again()
        elif hints:
            self._note(hints)

    def _paths_of(self, event: Event) -> Iterator[Path]:
        """Gives the path that an event hints at, if any; follows folders as they come and go."""
        folder = self._watched.get(event.wd)
        if folder is None:
            return
        if not event.name:
            self._look_after(event, folder)
            return
        path = folder / event.name
        if not self._folder.is_of_interest(path):
            return
        if event.mask & flags.ISDIR and folder == self._folder.path:
            self._follow(event, path)
        if event.mask & HINTS:
            yield path

    def _look_after(self, event: Event, folder: Path) -> None:
        """Takes note of a watched folder that is gone."""
        if event.mask & IS_GONE and folder == self._folder.path:
            self._end.set()
        elif event.mask & flags.IGNORED:
            del self._watched[event.wd]

    def _follow(self, event: Event, path: Path) -> None:
        """Watches a feed folder that has come, or has new rights, and no longer one that left."""
        if event.mask & HINTS:
            self._watch_feed_folder(path)
            self._tell_of_unwatched()
        else:
            for number in [each for each, folder in self._watched.items() if folder == path]:
                del self._watched[number]
                with suppress(OSError):  # deleted by now, and the watch with it
                    self._kernel.rm_watch(number)

    def _watch_again(self) -> None:
        """Finds the folders whose coming was not told, and asks for a look at everything."""
        try:
            self._watch_feed_folders()
        except OSError:  # the folder is gone, or closed to us: whoever watches again is told why
            self._end.set()
        self._note(None)

    def _watch_feed_folders(self) -> None:
        with os.scandir(self._folder.path) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.is_dir(follow_symlinks=False) and self._folder.is_of_interest(path):
                    self._watch_feed_folder(path)
        self._tell_of_unwatched()

    def _watch_feed_folder(self, path: Path) -> None:
        self._unwatched.pop(path, None)
        try:
            self._add(path, OF_FEED_FOLDER)
        except OSError as error:
            if error.errno not in GONE_ERRORS:
                self._unwatched[path] = error

    def _tell_of_unwatched(self) -> None:
        if self._unwatched:
            self._tell(ExceptionGroup("feed folders are not watched", [*self._unwatched.values()]))

    def _add(self, path: Path, mask: int) -> None:
        try:
            self._watched[self._kernel.add_watch(path, mask)] = path
        except OSError as error:
            is_limit = error.errno == errno.ENOSPC
            reason = "inotify watch limit reached" if is_limit else error.strerror
            raise OSError(error.errno, reason, str(path)) from error
