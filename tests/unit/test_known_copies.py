"""Files known by the copy of them in the archive: the very bytes, or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from app import files, known_copies
from app.errors import RetryableError
from app.known_copies import KnownCopies

GOING_ON = threading.Event()
CONTENT = os.urandom(known_copies.LEAST_BYTES + 12_345)
SHA256 = "as the loader found it"


def archived(folder: Path, content: bytes = CONTENT, name: str = "1_loans.csv") -> KnownCopies:
    """What a service knows that has just archived a file of that content."""
    copies = KnownCopies()
    path = folder / name
    path.write_bytes(content)
    identity = files.identity_at(path)
    assert identity
    copies.remember(path, identity, SHA256)
    return copies


def look(copies: KnownCopies, path: Path, stopped: threading.Event = GOING_ON) -> str | None:
    with files.open_file(path) as opened:
        descriptor = opened.fileno()
        return copies.sha256_of(descriptor, files.identity_of(descriptor), stopped)


def dropped(folder: Path, content: bytes) -> Path:
    path = folder / "loans.csv"
    path.write_bytes(content)
    return path


def test_the_same_bytes_have_the_checksum_of_the_copy(tmp_path: Path) -> None:
    assert look(archived(tmp_path), dropped(tmp_path, CONTENT)) == SHA256


@pytest.mark.parametrize("position", [0, known_copies.CHUNK_BYTES, len(CONTENT) - 1])
def test_one_other_byte_is_another_file(tmp_path: Path, position: int) -> None:
    other = bytearray(CONTENT)
    other[position] ^= 1

    assert look(archived(tmp_path), dropped(tmp_path, bytes(other))) is None


def test_another_length_is_another_file(tmp_path: Path) -> None:
    assert look(archived(tmp_path), dropped(tmp_path, CONTENT + b"\n")) is None


def test_a_copy_that_is_gone_is_not_known(tmp_path: Path) -> None:
    copies = archived(tmp_path)
    (tmp_path / "1_loans.csv").unlink()

    assert look(copies, dropped(tmp_path, CONTENT)) is None


def test_a_copy_that_was_written_to_is_not_known_even_with_its_old_times(tmp_path: Path) -> None:
    copies = archived(tmp_path)
    path = tmp_path / "1_loans.csv"
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # it moves on in steps of milliseconds
        path.write_bytes(CONTENT)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert look(copies, dropped(tmp_path, CONTENT)) is None


def test_a_file_that_was_not_moved_there_itself_is_not_remembered(tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.write_bytes(CONTENT)
    identity = files.identity_at(moved)
    other = tmp_path / "1_loans.csv"
    other.write_bytes(CONTENT)
    copies = KnownCopies()
    assert identity

    copies.remember(other, identity, SHA256)

    assert look(copies, dropped(tmp_path, CONTENT)) is None


def test_a_small_file_is_not_worth_it(tmp_path: Path) -> None:
    small = CONTENT[: known_copies.LEAST_BYTES - 1]

    assert look(archived(tmp_path, small), dropped(tmp_path, small)) is None


def test_the_oldest_copies_are_forgotten(tmp_path: Path) -> None:
    copies = archived(tmp_path)
    newer = tmp_path / "2_loans.csv"
    newer.write_bytes(CONTENT + b"!")
    identity = files.identity_at(newer)
    assert identity

    for _ in range(known_copies.MOST_COPIES):
        copies.remember(newer, identity, SHA256)

    assert look(copies, dropped(tmp_path, CONTENT)) is None
    assert look(copies, dropped(tmp_path, CONTENT + b"!")) == SHA256


def test_a_stop_ends_the_comparison(tmp_path: Path) -> None:
    stopped = threading.Event()
    stopped.set()

    with pytest.raises(RetryableError, match="when the service stopped"):
        look(archived(tmp_path), dropped(tmp_path, CONTENT), stopped)
