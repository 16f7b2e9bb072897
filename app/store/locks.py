"""File locks between commands; the kernel drops a lock with the last program that holds it.

A killed program therefore leaves nothing stale behind, whatever its number is used for next.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import DatabaseUnreachableError

POLL_SECONDS = 0.02


def wait_until(fact: Callable[[], bool], limit_seconds: float) -> bool:
    """Waits for the fact to become true; gives whether it did within the limit."""
    deadline = time.monotonic() + limit_seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def open_lock(path: Path) -> int:
    """Gives a descriptor to lock with; reading is enough, so files of another user serve too."""
    return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)


def take(descriptor: int, operation: int) -> bool:
    """Takes the lock if that is possible at once; gives whether it was."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def held(path: Path, limit_seconds: float) -> Iterator[int]:
    """Holds the lock alone for the block and gives its descriptor.

    A child that inherited the descriptor keeps the lock after the block.
    Raises DatabaseUnreachableError when others keep it past the limit.
    """
    descriptor = open_lock(path)
    try:
        if not wait_until(lambda: take(descriptor, fcntl.LOCK_EX), limit_seconds):
            raise DatabaseUnreachableError(
                f"Another command has kept {path} for {limit_seconds:.0f} seconds; it starts or"
                " stops the embedded PostgreSQL. Wait for it, or end it."
            )
        yield descriptor
    finally:
        os.close(descriptor)


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock just now."""
    descriptor = open_lock(path)
    try:
        return take(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)
