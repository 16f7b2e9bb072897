"""Keeps bytes for later: in memory at first, and in a temporary file when they are many."""

from __future__ import annotations

from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile, gettempdir
from types import TracebackType
from typing import Self

from app import threads
from app.errors import RetryableError
from app.store.copy_format import Encoded

MEMORY_BYTES = 8 << 20
CHUNK_BYTES = 1 << 20


class Spool:
    """Bytes in the order they were written, to be read once all are there."""

    def __init__(self) -> None:
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

    async def chunks(self) -> AsyncIterator[bytes]:
        """Gives all bytes from the first on."""
        self._file.seek(0)
        while chunk := self._file.read(CHUNK_BYTES):
            yield chunk
