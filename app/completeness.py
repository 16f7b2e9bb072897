"""Tells whether a file in the imports folder is complete, and if not, why it waits.

A file is complete when nobody has it open for writing. The kernel says so through a read
lease (fcntl(2), F_SETLEASE); where it cannot, the file has to stand still for a while.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from app import files
from app.files import Identity

# Elsewhere a lease may be granted while a writer on another machine, or on the host of a
# virtual machine, is still at work: FUSE and Docker Desktop's mounts grant every lease.
LEASE_FILE_SYSTEMS = frozenset(
    {
        *("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "jfs"),
        *("overlay", "tmpfs", "ramfs"),
    }
)
MOUNTS = Path("/proc/self/mountinfo")


class State(StrEnum):
    """Where a file stands; the value is what people read."""

    COMPLETE = "complete"
    OPEN_FOR_WRITING = "still open for writing"
    SETTLING = "settling"
    GONE = "gone"
    NOT_READABLE = "not readable"
    NOT_REGULAR = "not a regular file"


@dataclass(frozen=True, slots=True)
class Completeness:
    """The outcome of one look at a file.

    identity: the version looked at; None when it could not be opened.
    recheck_seconds: for SETTLING, how much quiet time is still missing.
    """

    state: State
    reason: str
    identity: Identity | None = None
    recheck_seconds: float | None = None

    @property
    def is_complete(self) -> bool:
        return self.state is State.COMPLETE


class Observer:
    """Judges files one look at a time.

    Where the kernel cannot tell, it remembers since when each file has stood still. Not
    safe for two threads at once.
    """

    def __init__(self, settle_seconds: float, clock: Callable[[], float]) -> None:
        self._settle_seconds = settle_seconds
        self._clock = clock
        self._quiet_since: dict[Path, tuple[Identity, float]] = {}
        self._has_leases: dict[int, bool] = {}

    def look(self, path: Path) -> Completeness:
        """Opens the file for a moment; never raises OSError."""
        try:
            descriptor = files.open_descriptor(path)
        except OSError as error:
            self.forget(path)
            return explain_open_error(error)
        try:
            return self._judge(path, descriptor)
        finally:
            os.close(descriptor)

    def forget(self, path: Path) -> None:
        """Drops what was seen of a file that is gone or handed over."""
        self._quiet_since.pop(path, None)

    def _judge(self, path: Path, descriptor: int) -> Completeness:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.forget(path)
            return Completeness(State.NOT_REGULAR, State.NOT_REGULAR)
        is_written = self._is_written(path, descriptor, status.st_dev)
        # Only now: a last write may have come before the kernel was asked.
        identity = files.identity_of(descriptor)
        if is_written:
            self.forget(path)
            return Completeness(State.OPEN_FOR_WRITING, State.OPEN_FOR_WRITING, identity)
        # Some tools create a file, close it, and open it again to write.
        if is_written is None or identity.file_bytes == 0:
            return self._settle(path, identity)
        self.forget(path)
        return Completeness(State.COMPLETE, State.COMPLETE, identity)

    def _is_written(self, path: Path, descriptor: int, device: int) -> bool | None:
        """Whether anybody has the file open for writing; None when the kernel cannot tell."""
        if device not in self._has_leases:
            file_system = file_system_of(path.parent)
            if file_system is None:
                return None
            self._has_leases[device] = file_system in LEASE_FILE_SYSTEMS
        return has_writer(descriptor) if self._has_leases[device] else None

    def _settle(self, path: Path, identity: Identity) -> Completeness:
        now = self._clock()
        seen, since = self._quiet_since.get(path, (identity, now))
        if seen != identity:
            since = now
        self._quiet_since[path] = (identity, since)
        quiet_seconds = now - since
        if quiet_seconds >= self._settle_seconds:
            return Completeness(State.COMPLETE, State.COMPLETE, identity)
        return Completeness(
            State.SETTLING,
            f"settling: unchanged for {quiet_seconds:.1f} of {self._settle_seconds:.1f} seconds",
            identity,
            self._settle_seconds - quiet_seconds,
        )


def has_writer(descriptor: int) -> bool | None:
    """Whether any process has the file open for writing; None when the kernel cannot tell.

    Needs the file's owner or CAP_LEASE. The descriptor must be read-only.
    """
    try:
        # A writer that opens while the lease stands would send SIGIO, which kills; SIGURG does not.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def explain_open_error(error: OSError) -> Completeness:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return Completeness(State.GONE, State.GONE)
        case errno.ELOOP | errno.ENXIO:
            return Completeness(State.NOT_REGULAR, State.NOT_REGULAR)
        case errno.EAGAIN:  # another program holds a write lease on it
            return Completeness(State.OPEN_FOR_WRITING, State.OPEN_FOR_WRITING)
        case _:
            return Completeness(
                State.NOT_READABLE, f"{State.NOT_READABLE}: {error.strerror or error}"
            )


def file_system_of(folder: Path) -> str | None:
    """The type of file system a folder is on, as the kernel names it; None when unknown."""
    try:
        mounts = MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return None
    return file_system_in(mounts, folder.resolve())


def file_system_in(mounts: str, folder: Path) -> str | None:
    """The type of the innermost mount above the folder, given the text of proc(5) mountinfo."""
    found: tuple[int, str | None] = (0, None)
    for line in mounts.splitlines():
        fields = line.split(" ")
        mount_point = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[4]))
        depth = len(mount_point.parts)
        # Of two mounts on one folder the later one lies on top.
        if depth >= found[0] and folder.is_relative_to(mount_point):
            found = (depth, fields[fields.index("-") + 1])
    return found[1]
