"""Keeps bytes for later: in memory at first, and in a temporary file when they are many."""

from __future__ import annotations

import struct
import sys
from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile, gettempdir
from types import TracebackType
from typing import Self

import pyarrow as pa

from app import threads
from app.errors import RetryableError
from app.store.copy_format import Encoded

MEMORY_BYTES = 8 << 20
CHUNK_BYTES = 1 << 20
CODEC = "zstd"
# Stands before each packed part: its own length, and that of what comes out of it.
LENGTHS = struct.Struct(">QQ")


def pack(part: Encoded) -> bytes:
    """Gives bytes as a spool of packed parts takes them: compressed."""
    if not len(part):
        return b""
    packed: bytes = pa.compress(part, codec=CODEC, asbytes=True)
    return LENGTHS.pack(len(packed), len(part)) + packed


class Spool:
    """Bytes in the order they were written, to be read once all are there.

    is_packed: each part was packed before it is written, and comes out as it was before.
    """

    def __init__(self, *, is_packed: bool = False) -> None:
        self._is_packed = is_packed
        self._file = SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 - closed in __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    async def write(self, part: Encoded) -> None:
        """Appends bytes, in a thread as the disk may be slow.

        Raises RetryableError when the disk takes no more.
        """
        try:
            await threads.run(self._file.write, part)
        except OSError as error:
            raise RetryableError(
                f"The folder for temporary files, {gettempdir()}, cannot be written:"
                f" {error.strerror}. Make room on its disk, or set TMPDIR to another folder."
            ) from error

    def clear(self) -> None:
        """Forgets what was written."""
        self._file.seek(0)
        self._file.truncate()

    async def chunks(self, at_most: int | None = None) -> AsyncIterator[bytes]:
        """Gives the bytes from the first on: all, or so many."""
        left = sys.maxsize if at_most is None else at_most
        self._file.seek(0)
        while left > 0 and (chunk := self._next_chunk()):
            yield chunk[:left]
            left -= len(chunk)

    def _next_chunk(self) -> bytes:
        if not self._is_packed:
            return self._file.read(CHUNK_BYTES)
        lengths = self._file.read(LENGTHS.size)
        if not lengths:
            return b""
        packed_bytes, part_bytes = LENGTHS.unpack(lengths)
        packed = self._file.read(packed_bytes)
        part: bytes = pa.decompress(packed, part_bytes, codec=CODEC, asbytes=True)
        return part
