"""Opens files without surprises, tells their versions apart and prints their names.

The watcher's folder rules, the completeness check and the archive stand on it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from app.errors import FileChangedError, FileError, RetryableError

# O_NONBLOCK: a named pipe without a writer would block the open for ever.
# O_NOFOLLOW: a symbolic link could lead out of the folder.
OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

HASHED_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Identity:
    """One version of a file: equal as long as nobody wrote, replaced or renamed it."""

    device: int
    inode: int
    file_bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )

    def is_same_file(self, other: Identity) -> bool:
        """Whether both are one file on disk, whatever was written to it in between."""
        return (self.device, self.inode) == (other.device, other.inode)

    def has_same_content(self, other: Identity) -> bool:
        """Whether both are one file that was not written to; a rename does not count as writing.

        Nor does writing as much and giving the file its old date again, as some copying does.
        """
        return self.is_same_file(other) and (
            (self.file_bytes, self.mtime_ns) == (other.file_bytes, other.mtime_ns)
        )


def open_descriptor(path: Path) -> int:
    """A read-only descriptor that never blocks and never follows a link; raises OSError."""
    return os.open(path, OPEN_FLAGS)


def open_file(path: Path) -> BinaryIO:
    """Opens a regular file for reading.

    Raises FileChangedError when it is gone, FileError when it is no regular file or may not be
    read, RetryableError for any other trouble of the system.
    """
    try:
        descriptor = open_descriptor(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileChangedError(f"{printable_name(path.name)} is gone") from error
    except PermissionError as error:
        raise FileError(
            found="a file that may not be read",
            expected="a file the service's user can read",
            remedy="give it to that user or make it readable, then drop it again",
        ) from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket or dead device
            raise not_regular() from error
        raise RetryableError(
            f"{printable_name(path.name)} cannot be opened: {error.strerror}"
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise not_regular()
    return os.fdopen(descriptor, "rb")


def not_regular() -> FileError:
    return FileError(
        found="a folder, link, pipe, socket or device",
        expected="a regular file",
        remedy="drop the file itself",
    )


def identity_of(descriptor: int) -> Identity:
    return Identity.of(os.fstat(descriptor))


def identity_at(path: Path) -> Identity | None:
    """What stands under the name now, a link itself and not its target; None when nothing does."""
    try:
        return Identity.of(path.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def sha256_of(descriptor: int, stopped: threading.Event) -> str:
    """Gives the SHA-256 of a file's bytes, in hex, wherever its position is. Blocks.

    Raises RetryableError soon after `stopped` is set; a large file takes longer than a stop may.
    """
    sha256 = hashlib.sha256()
    position = 0
    while chunk := os.pread(descriptor, HASHED_BYTES, position):
        if stopped.is_set():
            raise RetryableError("The file was being hashed when the service stopped")
        sha256.update(chunk)
        position += len(chunk)
    return sha256.hexdigest()


def is_unchanged(path: Path, identity: Identity) -> bool:
    """Whether exactly that version stands under the name."""
    try:
        return identity_at(path) == identity
    except OSError:
        return False


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turns trouble with the disk into RetryableError; what libraries call OSError passes."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise RetryableError(f"The file cannot be read: {error.strerror}") from error


def printable_name(name: str) -> str:
    """The name as people, logs and JSON can carry it.

    Bytes that are not UTF-8, characters that do not print, and backslashes are escaped with a
    backslash, so that no two names look alike.
    """
    text = os.fsencode(name).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
