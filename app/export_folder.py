"""The exports folder: which files are ours, and how they come and go, whole at every instant.

Export says what the files hold, and runs the steps here, which block, through `in_folder`.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from app import crash_points, syncing, threads
from app.crash_points import Point
from app.errors import ConfigError, RetryableError
from app.store import locks

P = ParamSpec("P")
T = TypeVar("T")

LOCK = ".lock"
# Past this, a run that waits for another one leaves the work to the next minute's.
LOCK_SECONDS = 60.0
LOCK_POLL_SECONDS = 0.05
# Stands in the folder while a run writes, so that the next one knows of a run that was killed.
UNFINISHED = ".unfinished"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# What a path leads to that is not a file: nothing, a link, a socket.
NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)
PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file as it has to be. path: relative to the exports folder."""

    path: str
    content: bytes


@dataclass(slots=True)
class Changes:
    """What a run did to the folder so far; paths are relative to it."""

    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: int = 0


@contextmanager
def folder_errors(folder: Path) -> Iterator[None]:
    """Turns trouble with the folder into ConfigError, or RetryableError when the disk is full."""
    try:
        yield
    except OSError as error:
        path = error.filename or folder
        if error.errno in NO_SPACE:
            raise RetryableError(
                f"{path} cannot be written: {error.strerror}. Make room on its disk."
            ) from error
        raise ConfigError(
            f"The exports folder {folder} cannot be used: {path}: {error.strerror}. Give the user"
            " who runs this command write access to all of it, or set EXPORTS_DIR to another one."
        ) from error


async def in_folder(
    call: Callable[Concatenate[Path, P], T], folder: Path, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Runs a step on the exports folder in a thread."""
    with folder_errors(folder):
        return await threads.run(call, folder, *args, **kwargs)


@asynccontextmanager
async def locked(folder: Path) -> AsyncIterator[None]:
    """Keeps other exports out of the folder; the end of the program lets them in, too.

    Raises RetryableError when another one does not end in time.
    """
    descriptor = await in_folder(open_lock, folder)
    deadline = time.monotonic() + LOCK_SECONDS
    try:
        while not take_lock(folder, descriptor):
            if time.monotonic() > deadline:
                raise RetryableError(
                    f"Another export has been writing to {folder} for {LOCK_SECONDS:.0f} seconds;"
                    " try again when it is done."
                )
            await asyncio.sleep(LOCK_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def open_lock(folder: Path) -> int:
    """Makes the folder where it is missing; gives the descriptor that runs lock each other with."""
    folder.mkdir(parents=True, exist_ok=True)
    return locks.open_lock(folder / LOCK)


def take_lock(folder: Path, descriptor: int) -> bool:
    """Gives whether the folder is this run's now."""
    with folder_errors(folder):
        return locks.take(descriptor, fcntl.LOCK_EX)


def begin(folder: Path, templates: Iterable[str]) -> None:
    """Notes that a run writes here; clears away temporary files of one that was killed."""
    note = folder / UNFINISHED
    if not note.exists():
        note.touch()
        return
    for template in templates:
        hidden = str(temporary(Path(template)))
        for path in existing(folder, hidden):
            (folder / path).unlink()


def finish(folder: Path) -> None:
    """Notes that the run came to its end."""
    (folder / UNFINISHED).unlink(missing_ok=True)


def existing(folder: Path, template: str) -> set[str]:
    """Gives the files that are named like the template, whoever made them.

    template: a relative path with `{names}` in place of numbers, the same number for the same
    name; numbers are unpadded.
    """
    named = set[str]()

    def number(match: re.Match[str]) -> str:
        name = match[1]
        if name in named:
            return f"(?P={name})"
        named.add(name)
        return f"(?P<{name}>[1-9][0-9]*)"

    pattern = re.compile(PLACEHOLDER.sub(number, template.replace(".", r"\.")))
    found = (
        path.relative_to(folder).as_posix()
        for path in folder.glob(PLACEHOLDER.sub("*", template))
        if path.is_file() or path.is_symlink()
    )
    return {path for path in found if pattern.fullmatch(path)}


def write_files(folder: Path, files: Sequence[ExportFile], changes: Changes) -> None:
    """Writes the files whose content differs: to temporary names, to the disk, then renamed."""
    differing = {folder / file.path: file for file in files if not holds(folder, file)}
    unfinished = [(temporary(path), file.content) for path, file in differing.items()]
    for parent in dict.fromkeys(path.parent for path in differing):
        parent.mkdir(parents=True, exist_ok=True)
    syncing.write_synced(unfinished)
    crash_points.reach(Point.EXPORTS_WRITTEN)
    for (written, _), (path, file) in zip(unfinished, differing.items(), strict=True):
        written.replace(path)
        crash_points.reach(Point.EXPORT_NAMED)
        changes.written.append(file.path)
    changes.unchanged += len(files) - len(differing)


def write_last(path: Path, content: bytes) -> None:
    """Replaces one file at once.

    Syncing its folder makes earlier renames below it durable too, on file systems that keep the
    order of changes in a journal.
    """
    # One that a killed run of another user left could not be written to.
    temporary(path).unlink(missing_ok=True)
    syncing.write(temporary(path), content, is_synced=True)
    crash_points.reach(Point.MARK_WRITTEN)
    temporary(path).replace(path)
    put_folder_on_disk(path.parent)


def remove_files(folder: Path, paths: Iterable[str], changes: Changes) -> None:
    """Removes files, where they are, and the folders above them that are empty then."""
    for path in sorted(paths):
        try:
            (folder / path).unlink()
            crash_points.reach(Point.EXPORT_REMOVED)
            changes.removed.append(path)
        except (FileNotFoundError, NotADirectoryError):
            pass
        for parent in list(Path(path).parents)[:-1]:
            if not remove_if_empty(folder / parent):
                break


def remove_if_empty(folder: Path) -> bool:
    """Gives whether the folder is gone now."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        raise
    return True


def temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def put_folder_on_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def holds(folder: Path, file: ExportFile) -> bool:
    """Whether a file of our own making is there and holds exactly this."""
    try:
        descriptor = os.open(
            folder / file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        )
    except OSError as error:
        if error.errno in NO_FILE:
            return False
        raise
    try:
        status = os.fstat(descriptor)
        is_ours = stat.S_ISREG(status.st_mode) and status.st_size == len(file.content)
        return is_ours and os.read(descriptor, status.st_size) == file.content
    finally:
        os.close(descriptor)
