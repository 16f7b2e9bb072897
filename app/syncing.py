"""Brings many new files onto the disk at once."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

# One after the other, 1,100 small files take 1.5 s to sync, 16 at once 0.15 s, and their whole file
# system 0.01 s. But that waits for what others write there, too, so it is for many files only.
SYNCED_AT_ONCE = 16
MANY_FILES = 100


def write_synced(files: Sequence[tuple[Path, bytes]]) -> None:
    """Writes files; a power cut after this takes nothing of them away. Raises OSError. Blocks."""
    if len(files) >= MANY_FILES and c_library():
        for path, content in files:
            write(path, content)
        sync_file_systems(path.parent for path, _ in files)
        return
    with ThreadPoolExecutor(SYNCED_AT_ONCE) as writing:
        list(writing.map(write_one_synced, files))


def write_one_synced(file: tuple[Path, bytes]) -> None:
    """The same for one file."""
    write(*file, is_synced=True)


def write(path: Path, content: bytes, *, is_synced: bool = False) -> None:
    with open(path, "wb") as file:  # noqa: PTH123 - in half the time of Path.open
        file.write(content)
        if is_synced:
            file.flush()
            os.fsync(file.fileno())


def sync_file_systems(folders: Iterable[Path]) -> None:
    """Brings onto the disk all that was written to the file systems of these folders."""
    for folder in {folder.stat().st_dev: folder for folder in set(folders)}.values():
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if c_library().syncfs(descriptor):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(folder))
        finally:
            os.close(descriptor)


@cache
def c_library() -> Any:
    """Gives the C library where it can sync a file system, which Python offers no call for."""
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, "syncfs") else None
