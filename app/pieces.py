"""Cuts batches into pieces at a file's start, and further on where it holds many rejects.

Those take many times the memory of good rows. Other batches are better whole, as each goes through
some threads, one after the other.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import polars as pl

from app.domain import Batch, Reject

MANY_REJECTS = 4_096
PIECE_ROWS = 16_384
# Of very short rows a batch holds twice as many, and all may be rejects.
MOST_ROWS = 65_536


@dataclass(slots=True)
class Cutter:
    """Cuts a file's batches until `note` has seen few rejects; on and on once it has seen many."""

    _is_needed: bool = True
    _has_many: bool = False

    def note(self, rejects: Sequence[Reject]) -> None:
        """Takes the rejects of a batch, in any thread."""
        self._has_many = self._has_many or len(rejects) > MANY_REJECTS
        self._is_needed = self._has_many

    def pieces(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Gives the same rows and rejects, in the same order."""
        for batch in batches:
            yield from cut(batch, PIECE_ROWS if self._is_needed else MOST_ROWS)


def cut(batch: Batch, most_rows: int) -> Iterator[Batch]:
    """Gives a batch in pieces of at most so many rows each, and what lies between them.

    Rows that stand as text beside typed ones do not count: they are few.
    """
    height = batch.frame.height
    if height <= most_rows:
        yield batch
        return
    numbers = batch.frame["line_number"]
    first_line = 0
    for start in range(0, height, most_rows):
        end = start + most_rows
        next_line = numbers[end] if end < height else sys.maxsize
        yield replace(
            batch,
            frame=batch.frame[start:end],
            rejects=rejects_between(batch.rejects, first_line, next_line),
            text_rows=rows_between(batch.text_rows, first_line, next_line),
        )
        first_line = next_line


def rejects_between(rejects: Sequence[Reject], first: int, end: int) -> Sequence[Reject]:
    from_first = bisect_left(rejects, first, key=attrgetter("line_number"))
    return rejects[from_first : bisect_left(rejects, end, key=attrgetter("line_number"))]


def rows_between(rows: pl.DataFrame | None, first: int, end: int) -> pl.DataFrame | None:
    if rows is None:
        return None
    return rows.filter(pl.col("line_number").is_between(first, end, closed="left"))
