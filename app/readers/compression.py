"""Stored bytes -> decompressed chunks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from app.errors import FileError
from app.readers.limits import Allowance, Limits, stored_bytes


class KeptOpen:
    """A decompressor's input: it would close the file, which is the caller's to close."""

    closed = False

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def read(self, size: int = -1) -> bytes:
        return self._source.read(size)

    def close(self) -> None:
        """Leaves the file open."""


def read_chunks(
    source: BinaryIO, compression: str | None, chunk_bytes: int, limits: Limits
) -> Iterator[bytes]:
    """Gives the content from the start, in chunks of at most chunk_bytes, none of them empty.

    compression: "gzip" (any number of members), "zstd" (any number of frames) or None.
    Raises FileError where the compressed data is cut off or damaged, and where more comes out
    of it than the limits allow.
    """
    allowance = Allowance(stored_bytes(source), limits)
    if compression is None:
        while chunk := source.read(chunk_bytes):
            yield chunk
        return
    stream = pa.CompressedInputStream(pa.PythonFile(KeptOpen(source), mode="r"), compression)
    while chunk := read_decompressed(stream, chunk_bytes):
        allowance.take(len(chunk))
        yield chunk


def read_decompressed(stream: pa.CompressedInputStream, chunk_bytes: int) -> bytes:
    try:
        chunk: bytes = stream.read(chunk_bytes)
    except OSError as error:
        # The disk's errors carry a number, the decompressor's do not.
        if error.errno is not None:
            raise
        raise FileError(
            found="compressed data that is cut off or damaged",
            expected="a whole compressed file",
            remedy="copy or compress the file again and drop it anew",
        ) from error
    return chunk
