"""Many files come onto the disk at once, few one by one, and what goes wrong there is raised."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from ctypes import set_errno
from pathlib import Path
from types import SimpleNamespace

import pytest

from app import syncing

FILES = 150
FOLDERS = 5


@pytest.fixture
def files(tmp_path: Path) -> list[tuple[Path, bytes]]:
    """More than are synced one by one, in several folders."""
    for number in range(FOLDERS):
        (tmp_path / str(number)).mkdir()
    return [
        (tmp_path / str(number % FOLDERS) / f"{number}.csv", f"{number}\n".encode() * number)
        for number in range(FILES)
    ]


def count_calls(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[object]:
    calls: list[object] = []
    real: Callable[..., object] = getattr(owner, name)

    def counted(argument: object) -> object:
        calls.append(argument)
        return real(argument)

    monkeypatch.setattr(owner, name, counted)
    return calls


def use_library(monkeypatch: pytest.MonkeyPatch, library: object) -> None:
    monkeypatch.setattr(syncing, "c_library", lambda: library)


def test_many_files_are_written_and_their_file_system_synced_after_the_last(
    files: list[tuple[Path, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = syncing.c_library()
    on_disk_when_synced: list[int] = []

    def sync(descriptor: int) -> int:
        on_disk_when_synced.append(sum(path.read_bytes() == content for path, content in files))
        code: int = real.syncfs(descriptor) if real else 0
        return code

    use_library(monkeypatch, SimpleNamespace(syncfs=sync))
    synced_one_by_one = count_calls(monkeypatch, os, "fsync")

    syncing.write_synced(files)

    assert on_disk_when_synced == [FILES]
    assert synced_one_by_one == []


@pytest.mark.parametrize("count", [1, syncing.MANY_FILES - 1])
def test_few_files_are_synced_one_by_one(
    count: int, files: list[tuple[Path, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = count_calls(monkeypatch, os, "fsync")

    syncing.write_synced(files[:count])

    assert [path.read_bytes() for path, _ in files[:count]] == [each for _, each in files[:count]]
    assert len(synced) == count


def test_many_files_are_synced_one_by_one_where_the_system_offers_nothing_else(
    files: list[tuple[Path, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_library(monkeypatch, None)
    synced = count_calls(monkeypatch, os, "fsync")

    syncing.write_synced(files)

    assert [path.read_bytes() for path, _ in files] == [content for _, content in files]
    assert len(synced) == FILES


def test_a_disk_that_cannot_take_the_files_is_an_error(
    files: list[tuple[Path, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> int:
        set_errno(errno.ENOSPC)
        return -1

    use_library(monkeypatch, SimpleNamespace(syncfs=refuse))

    with pytest.raises(OSError, match="No space left") as caught:
        syncing.write_synced(files)

    assert caught.value.errno == errno.ENOSPC
    assert Path(caught.value.filename) in {path.parent for path, _ in files}
