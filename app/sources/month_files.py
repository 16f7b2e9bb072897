"""Month files on their way into the imports folder: written hidden, named when they are whole.

Third step of a pull. Everything here blocks, but for `alone`.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import re
import stat
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import date
from itertools import count
from pathlib import Path
from typing import BinaryIO

from app import crash_points, threads
from app.archive import sync_folder
from app.crash_points import Point
from app.errors import ConfigError, RetryableError
from app.store import locks

LOCK = ".pull.lock"
TEMPORARY = ".pull_*.part"
LOCK_SECONDS = 60.0
LOCK_POLL_SECONDS = 0.05
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@contextmanager
def folder_errors(folder: Path) -> Iterator[None]:
    """Turns trouble with the imports folder into ConfigError, or RetryableError for a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise RetryableError(
                f"No month file can be written to {folder}: {error.strerror}. Make room on its disk"
            ) from error
        raise ConfigError(
            f"The imports folder {folder} cannot be used: {error.strerror}. Give the user who runs"
            " this command write access to it, or set IMPORTS_DIR to another one"
        ) from error


@asynccontextmanager
async def alone(folder: Path) -> AsyncIterator[None]:
    """Keeps other pulls out of the folder, and clears away what a killed one left in it.

    Raises RetryableError when another one does not end in time.
    """
    with folder_errors(folder):
        descriptor = await threads.run(open_lock, folder)
    deadline = time.monotonic() + LOCK_SECONDS
    try:
        while not locks.take(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise RetryableError(
                    f"Another pull has been writing to {folder} for {LOCK_SECONDS:.0f} seconds;"
                    " try again when it is done"
                )
            await asyncio.sleep(LOCK_POLL_SECONDS)
        with folder_errors(folder):
            await threads.run(clear_away, folder)
        yield
    finally:
        os.close(descriptor)


def open_lock(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return locks.open_lock(folder / LOCK)


def clear_away(folder: Path) -> None:
    for left in folder.glob(TEMPORARY):
        left.unlink(missing_ok=True)


class Unnamed:
    """A month file that is being written, under a name that the service passes over."""

    def __init__(self, folder: Path, month: date) -> None:
        self.folder = folder
        self.month = month
        self._path = folder / TEMPORARY.replace("*", f"{month:%Y_%m}")
        self._file: BinaryIO = self._path.open("wb")
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Adds to the file; called in a thread by the driver's COPY."""
        self._file.write(chunk)
        self._sha256.update(chunk)

    def name(self) -> tuple[Path, bool]:
        """Gives the file its name, on disk and all; says which, and whether it is new.

        Where the month's newest waiting file has the same content, that one is it. Another file's
        name is never taken.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        crash_points.reach(Point.MONTH_SYNCED)
        file_bytes = self._file.tell()
        waiting = waiting_versions(self.folder, self.month)
        if waiting and has_content(waiting[-1], file_bytes, self.sha256):
            return waiting[-1], False
        path = next(path for path in names(self.folder, self.month) if take_name(self._path, path))
        crash_points.reach(Point.MONTH_NAMED)
        sync_folder(self.folder)
        return path, True

    def discard(self) -> None:
        """Removes what has no name; does nothing to a file that has one."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def names(folder: Path, month: date) -> Iterator[Path]:
    """The names of a month's files, in the order they are tried."""
    yield folder / f"entity_{month:%Y_%m}.csv"
    yield from (folder / f"entity_{month:%Y_%m}_v{number}.csv" for number in count(2))


def take_name(temporary: Path, path: Path) -> bool:
    """Renames the file, unless the name is taken; gives whether it did."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(path):
            return False
        temporary.rename(path)
        return True
    crash_points.reach(Point.MONTH_LINKED)
    temporary.unlink()
    return True


def waiting_versions(folder: Path, month: date) -> list[Path]:
    """A month's files that pulls have written and no load has taken away, oldest change first."""
    version = re.compile(rf"entity_{month:%Y_%m}(_v[0-9]+)?\.csv")
    found = []
    for path in folder.iterdir():
        if version.fullmatch(path.name):
            with suppress(FileNotFoundError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    found.append((status.st_ctime_ns, path))
    return [path for _, path in sorted(found)]


def has_content(path: Path, file_bytes: int, sha256: str) -> bool:
    """Whether a file holds exactly that; one that is gone or cannot be read does not."""
    try:
        with path.open("rb") as waiting:
            if os.fstat(waiting.fileno()).st_size != file_bytes:
                return False
            return hashlib.file_digest(waiting, "sha256").hexdigest() == sha256
    except OSError:
        return False
