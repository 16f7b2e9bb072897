"""Knows a file by the copy of it in the archive: comparing bytes is quicker than hashing them.

Only ever a shortcut to the SHA-256 of what lies in imports/. It is kept in memory; a service that
did not archive the copy itself hashes.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from app import files
from app.errors import RetryableError
from app.files import Identity

# Two of them stay in the processor's cache.
CHUNK_BYTES = 256 << 10
# Smaller ones are hashed within a millisecond.
LEAST_BYTES = 1 << 20
MOST_COPIES = 100


@dataclass(frozen=True, slots=True)
class Copy:
    """A file of the archive and the SHA-256 of its bytes, in hex, as long as it is untouched."""

    path: Path
    identity: Identity
    sha256: str


class KnownCopies:
    """The files that this service archived last."""

    def __init__(self) -> None:
        self._copies: tuple[Copy, ...] = ()  # the newest first; threads read it

    def remember(self, path: Path, moved: Identity, sha256: str) -> None:
        """Takes note of an archived file.

        moved: what was hashed. Nothing is noted where another file has the path, such as a copy.
        """
        if moved.file_bytes < LEAST_BYTES:
            return
        identity = files.identity_at(path)
        if identity and identity.has_same_content(moved):
            self._copies = (Copy(path, identity, sha256), *self._copies[: MOST_COPIES - 1])

    def sha256_of(
        self, descriptor: int, identity: Identity, stopped: threading.Event
    ) -> str | None:
        """Gives the SHA-256 of a file that holds the same bytes as an archived one. Blocks.

        None where no such copy is known, or it is not as it was when it was archived. Raises
        OSError, and RetryableError soon after `stopped` is set.
        """
        alike = [each for each in self._copies if each.identity.file_bytes == identity.file_bytes]
        return next((each.sha256 for each in alike if holds(each, descriptor, stopped)), None)


def holds(copy: Copy, descriptor: int, stopped: threading.Event) -> bool:
    """Whether the archived copy is untouched and holds the same bytes as the open file."""
    try:
        archived = files.open_descriptor(copy.path)
    except OSError:  # moved or removed since; the file itself can still be hashed
        return False
    try:
        return (
            files.identity_of(archived) == copy.identity
            and have_same_bytes(archived, descriptor, copy.identity.file_bytes, stopped)
            and files.identity_of(archived) == copy.identity
        )
    finally:
        os.close(archived)


def have_same_bytes(one: int, other: int, file_bytes: int, stopped: threading.Event) -> bool:
    """Whether two open files begin with the same bytes; their positions are not used."""
    chunks = bytearray(CHUNK_BYTES), bytearray(CHUNK_BYTES)
    for position in range(0, file_bytes, CHUNK_BYTES):
        if stopped.is_set():
            raise RetryableError("The file was being compared when the service stopped")
        filled = [
            os.preadv(descriptor, [chunk], position)
            for descriptor, chunk in zip((one, other), chunks, strict=True)
        ]
        expected = min(CHUNK_BYTES, file_bytes - position)
        if filled != [expected, expected] or chunks[0] != chunks[1]:
            return False
    return True
