"""Keeps what breaks the property, the smallest file of each way, to become a regression file."""

from __future__ import annotations

import hashlib
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tests.fuzz.accounts import bring_in

FOLDER = Path(".hypothesis") / "fuzz"
# The machine may be busy; none of these files has more than some thousand bytes.
LIMIT_SECONDS = 60


class TooSlowError(AssertionError):
    """A file that is read for longer than any of its size may be."""


@contextmanager
def time_limit() -> Iterator[None]:
    def end(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlowError(f"not done within {LIMIT_SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(LIMIT_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def try_file(content: bytes, name: str, block_bytes: int) -> None:
    """Raises what `bring_in` raises, and keeps the file then."""
    try:
        with time_limit():
            bring_in(content, name, block_bytes)
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt | SystemExit):
            keep(content, name, error)
        raise


def keep(content: bytes, name: str, error: BaseException) -> None:
    """Keeps the file unless a smaller one broke in the same place."""
    places = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    way = hashlib.sha256(f"{type(error).__name__} {places[-3:]}".encode()).hexdigest()[:8]
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = list(FOLDER.glob(f"{way}__*"))
    if kept and min(path.stat().st_size for path in kept) <= len(content):
        return
    for path in kept:
        path.unlink()
    (FOLDER / f"{way}__{name.replace('/', '_')}").write_bytes(content)
    (FOLDER / f"{way}.txt").write_text("".join(traceback.format_exception(error)), "utf-8")
