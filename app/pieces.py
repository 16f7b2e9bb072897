"""Cuts batches into pieces at a file's start, and further on where it holds many rejects.

Those take many times the memory of good rows. Other batches are better whole, as each goes through
some threads, one after the other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

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
    """Gives a batch in pieces of at most so many rows each, and the rejects among them."""
    height = batch.frame.height
    if height <= most_rows:
        yield batch
        return
    rejects = batch.rejects
    for start in range(0, height, most_rows):
        end = start + most_rows
        count = len(rejects)
        if end < height:
            next_line = batch.frame["line_number"][end]
            count = bisect_left(rejects, next_line, key=attrgetter("line_number"))
        yield piece_of(batch, start, end, rejects[:count])
        rejects = rejects[count:]


def piece_of(batch: Batch, start: int, end: int, rejects: Sequence[Reject]) -> Batch:
    def give(positions: Sequence[int]) -> list[str]:
        return batch.raw_texts([start + position for position in positions])

    return Batch(batch.frame[start:end], rejects, give, batch.bytes_read)
