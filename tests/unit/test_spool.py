"""Bytes kept for later, in a temporary file when they are many."""

from __future__ import annotations

import errno
import io
import os

import pytest

from app.errors import RetryableError
from app.store import spool
from app.store.spool import Spool


async def test_what_was_written_comes_back_in_order_from_memory_and_from_the_disk() -> None:
    for size in (10, spool.MEMORY_BYTES):
        with Spool() as kept:
            for part in (b"a", b"b" * size, b"c"):
                await kept.write(part)
            content = b"".join([chunk async for chunk in kept.chunks()])
        assert content == b"a" + b"b" * size + b"c"


class FullDisk(io.BytesIO):
    """A file on a disk without room."""

    def write(self, _part: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_full_disk_for_temporary_files_is_trouble_that_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spool, "SpooledTemporaryFile", lambda max_size: FullDisk())
    with Spool() as kept, pytest.raises(RetryableError, match="or set TMPDIR") as raised:
        await kept.write(b"a")
    assert isinstance(raised.value.__cause__, OSError)
