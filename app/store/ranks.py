"""Ranks the rows of a file, as they are read, by day and then line.

The rows of each day are counted beforehand, so that no row has to wait for those that come after
it in the file but before it in the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl


def count_days(frame: pl.DataFrame) -> Mapping[date, int]:
    """Gives how many rows each day has; the frame's only column is the day."""
    return dict(frame.to_series().value_counts().iter_rows())


class ByDay:
    """Gives out the ids of a file's rows, from `first_id`, given how many rows each day has."""

    def __init__(self, day: str, rows_of_days: Mapping[date, int], first_id: int) -> None:
        self._day = day
        self._next: dict[date, int] = {}
        for each in sorted(rows_of_days):
            self._next[each] = first_id
            first_id += rows_of_days[each]

    def number(self, frame: pl.DataFrame) -> pl.Series:
        """Gives the ids of the rows that come next in the file."""
        day = pl.col(self._day)
        first_id = day.replace_strict(self._next, return_dtype=pl.Int64)
        ids = frame.select(first_id + pl.int_range(pl.len()).over(day)).to_series()
        for each, rows in count_days(frame.select(day)).items():
            self._next[each] += rows
        return ids


class ByLine:
    """Gives out ids from `first_id` in the order of the rows."""

    def __init__(self, first_id: int) -> None:
        self._next = first_id

    def number(self, frame: pl.DataFrame) -> pl.Series:
        """Gives the ids of the rows that come next."""
        first_id, self._next = self._next, self._next + len(frame)
        return pl.int_range(first_id, self._next, dtype=pl.Int64, eager=True)
