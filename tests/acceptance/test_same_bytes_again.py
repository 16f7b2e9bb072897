"""A large file that comes again is known by its untouched copy in the archive."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tests.acceptance.front_door import Daemon, Front

ROWS = 60_000


def month(first_value: int) -> bytes:
    """More than a megabyte of January 2023; the first value has one digit."""
    rows = [f"2023-01-{day:02} {hour:02}:00:00,{day}" for day in range(1, 31) for hour in range(24)]
    values = "\n".join(rows[number % len(rows)] for number in range(ROWS))
    return f"created_at,value\n2023-01-01 00:00:00,{first_value}\n{values}\n".encode()


def write_unseen(path: Path, content: bytes) -> None:
    """Writes into the file, which keeps its size and its times as far as a user can set them."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


async def test_the_same_bytes_again_are_a_duplicate_with_their_own_checksum(
    front: Front, daemon: Daemon
) -> None:
    front.drop("entity_2023-01.csv", month(1))
    await front.filed(1)

    front.drop("entity_2023-01.csv", month(1))

    first, again = await front.filed(2)
    assert (first["status"], again["status"]) == ("loaded", "duplicate")
    assert first["sha256"] == again["sha256"] == hashlib.sha256(month(1)).hexdigest()
    assert front.filed_file(again)[0] == month(1)


async def test_an_archived_copy_that_somebody_changed_makes_no_duplicate(
    front: Front, daemon: Daemon
) -> None:
    front.drop("entity_2023-01.csv", month(1))
    [first] = await front.filed(1)
    write_unseen(Path(first["filed_path"]), month(2))

    front.drop("entity_2023-01.csv", month(2))

    _, changed = await front.filed(2)
    assert (changed["status"], changed["rows_inserted"] + changed["rows_updated"]) == ("loaded", 1)
    assert changed["sha256"] == hashlib.sha256(month(2)).hexdigest()


async def test_a_file_of_the_same_size_that_differs_in_its_last_byte_is_loaded(
    front: Front, daemon: Daemon
) -> None:
    other = month(1)[:-2] + b"7\n"
    assert (len(other), other) != (len(month(1)), month(1))
    front.drop("entity_2023-01.csv", month(1))
    await front.filed(1)

    front.drop("entity_2023-01.csv", other)

    _, changed = await front.filed(2)
    assert changed["status"] == "loaded"
    assert changed["sha256"] == hashlib.sha256(other).hexdigest()
    assert (changed["rows_unchanged"], changed["rows_deleted"]) == (ROWS, 0)
