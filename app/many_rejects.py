"""Rejects of a batch in columns: a file may be nothing but rejects, and an object each is much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self, overload

import polars as pl

from app.domain import Reject

SCHEMA = {
    "line_number": pl.Int64,
    "column_name": pl.String,
    "reason": pl.String,
    "raw": pl.String,
}


class ManyRejects(Sequence[Reject]):
    """Rejects, each made when it is asked for.

    columns: a row for each, with the names and types of SCHEMA.
    """

    def __init__(self, columns: pl.DataFrame) -> None:
        self.columns = columns

    @classmethod
    def of(cls, rejects: Sequence[Reject]) -> Self:
        """Gives rejects of any kind in columns."""
        if isinstance(rejects, cls):
            return rejects
        values = {name: [getattr(each, name) for each in rejects] for name in SCHEMA}
        return cls(pl.DataFrame(values, SCHEMA))

    def __len__(self) -> int:
        return self.columns.height

    def __iter__(self) -> Iterator[Reject]:
        return (Reject(*row) for row in self.columns.iter_rows())

    @overload
    def __getitem__(self, place: int) -> Reject: ...

    @overload
    def __getitem__(self, place: slice) -> Self: ...

    def __getitem__(self, place: int | slice) -> Reject | Self:
        if isinstance(place, slice):
            return type(self)(self.columns[place])
        return Reject(*self.columns.row(place))
