"""Leaves out rows whose key a later row of the same file has, before they are copied.

A file may hold the state of each key again and again. To copy all its rows, and have the merge keep
the last of each key, takes three times as long as to keep only those here. That is a saving and no
promise: what memory is not meant for goes on, and the merge decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy.typing as npt
import polars as pl

T = TypeVar("T")

Keys = npt.NDArray[Any]

MOST_HELD = 1 << 17
NO_KEYS = (None, None)


def increasing_keys(keys: Keys | None) -> tuple[Any, Any]:
    """Gives the first and the last key where they increase from row to row; else NO_KEYS."""
    if keys is None or not len(keys) or not (keys[1:] > keys[:-1]).all():
        return NO_KEYS
    return keys[0], keys[-1]


class LastRows(Generic[T]):
    """Holds rows back for as long as one of the same key may follow.

    key: a column. form: what rows are given as. Blocks; not for several threads at once.
    """

    def __init__(self, key: str, form: Callable[[pl.DataFrame], T]) -> None:
        self._key = key
        self._form = form
        self._held: pl.DataFrame | None = None
        self._seen = 0
        self._is_of_use = True

    def take(self, rows: pl.DataFrame) -> T | None:
        """Takes the next rows, in file order; gives what is not held back, in any order."""
        increase = increasing_keys(rows[self._key].to_numpy()) != NO_KEYS
        if not self._is_of_use or (self._held is None and increase):
            return self._form(rows)
        self._seen += rows.height
        together = rows if self._held is None else pl.concat([self._held, rows])
        last = together.unique(self._key, keep="last")
        if last.height <= MOST_HELD:
            self._held = last
            return None
        self._is_of_use = last.height < self._seen // 2
        self._held, self._seen = None, 0
        return self._form(last)

    def rest(self) -> T | None:
        """Gives what was held back to the end of the file."""
        return None if self._held is None else self._form(self._held)
