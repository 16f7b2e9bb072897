"""Bytes kept for later, in a temporary file when they are many."""

from __future__ import annotations

import errno
import io
import os
import random

import pytest

from app.domain import Reject
from app.errors import RetryableError
from app.store import spool
from app.store.rejects import RejectSpool
from app.store.spool import Spool, pack


async def content_of(kept: Spool, at_most: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in kept.chunks(at_most)])


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("size", [0, 10, spool.MEMORY_BYTES])
async def test_what_was_written_comes_back_in_order_from_memory_and_from_the_disk(
    size: int, is_packed: bool
) -> None:
    filler = random.Random(7).randbytes(size)  # what does not compress
    with Spool(is_packed=is_packed) as kept:
        for part in (b"a", filler, memoryview(b"c")):
            await kept.write(pack(part) if is_packed else part)
        whole = b"a" + filler + b"c"
        assert await content_of(kept) == whole
        for at_most in (0, 1, 2, size // 2, size + 1, size + 2, size + 3):
            assert await content_of(kept, at_most) == whole[:at_most]


@pytest.mark.parametrize("is_packed", [False, True])
async def test_what_is_forgotten_does_not_come_back(is_packed: bool) -> None:
    with Spool(is_packed=is_packed) as kept:
        await kept.write(pack(b"before") if is_packed else b"before")
        kept.clear()
        assert await content_of(kept) == b""
        await kept.write(pack(b"after") if is_packed else b"after")
        assert await content_of(kept) == b"after"


async def test_rejects_of_short_lines_take_less_room_than_the_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = io.BytesIO()
    monkeypatch.setattr(spool, "SpooledTemporaryFile", lambda max_size: kept)
    with RejectSpool(7) as rejects:
        for first in range(2, 200_002, 20_000):
            bad = [Reject(first + n, None, "1 field, expected 4", "x") for n in range(20_000)]
            await rejects.add(bad)
        assert rejects.count == 200_000
        assert 0 < len(kept.getvalue()) < 200_000 * len("x\n")


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
