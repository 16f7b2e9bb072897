"""What turns one run of a month's rows into another: whole columns at a time, in key order."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

Positions = npt.NDArray[np.int64]
Key = tuple[int, int]
"""An instant in microseconds since 1970, and an id."""

IS_NEW = "is_new"
SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


def is_ordered(rows: pl.DataFrame, key: tuple[str, str]) -> bool:
    """Whether the keys increase from row to row, so that none stands twice."""
    first, second = (rows[name].to_physical().to_numpy() for name in key)
    steps = np.diff(first)
    increases = (steps > 0) | ((steps == 0) & (second[1:] > second[:-1]))
    return bool(increases.all())


def last_key(rows: pl.DataFrame, key: tuple[str, str]) -> Key:
    """Gives the key of the last row."""
    return rows[key[0]].to_physical()[-1], rows[key[1]][-1]


def rows_until(rows: pl.DataFrame, key: tuple[str, str], last: Key) -> int:
    """Counts the rows whose key is not beyond `last`. rows: in key order."""
    first, second = (rows[name].to_physical().to_numpy() for name in key)
    here, beyond = (int(np.searchsorted(first, last[0], side)) for side in SIDES)
    return here + int(np.searchsorted(second[here:beyond], last[1], "right"))


def find(staged: pl.DataFrame, kept: pl.DataFrame, key: tuple[str, str]) -> pl.DataFrame:
    """Gives one row per key that differs: the staged row, or nulls beside a key that is gone.

    staged, kept: rows of the same columns in key order. A last column says which keys are new.
    """
    if staged.select(key).equals(kept.select(key)):
        return staged.filter(_differ(staged, kept, key)).with_columns(pl.lit(False).alias(IS_NEW))
    in_both, of_kept = _match(staged, kept, key)
    matched, matching = staged[in_both], kept[of_kept]
    updated = matched.filter(_differ(matched, matching, key))
    inserted = staged.filter(_is_other(len(staged), in_both))
    gone = kept.filter(_is_other(len(kept), of_kept)).select(key)
    return pl.concat(
        [
            updated.with_columns(pl.lit(False).alias(IS_NEW)),
            inserted.with_columns(pl.lit(True).alias(IS_NEW)),
            gone.with_columns(pl.lit(False).alias(IS_NEW)),
        ],
        how="diagonal",
    )


def _differ(these: pl.DataFrame, those: pl.DataFrame, key: tuple[str, str]) -> pl.Series:
    """Which of the rows, whose keys are the same, have other values."""
    values = [name for name in these.columns if name not in key]
    differ = np.zeros(len(these), np.bool_)
    for name in values:
        differ |= these[name].to_physical().to_numpy() != those[name].to_physical().to_numpy()
    return pl.Series(differ)


def _match(
    staged: pl.DataFrame, kept: pl.DataFrame, key: tuple[str, str]
) -> tuple[Positions, Positions]:
    """Gives the positions of the keys that stand in both, in either.

    Sorts the two runs as one, which takes little more than reading them as both are sorted, and
    looks at neighbours; of two equal keys the kept one comes first.
    """
    first, second = (
        np.concatenate([rows[name].to_physical().to_numpy() for rows in (kept, staged)])
        for name in key
    )
    order = np.lexsort((second, first))
    first, second = first[order], second[order]
    pairs = np.flatnonzero((first[1:] == first[:-1]) & (second[1:] == second[:-1]))
    return order[pairs + 1] - len(kept), order[pairs]


def _is_other(count: int, positions: Positions) -> pl.Series:
    """Which of so many rows stand at none of the positions."""
    is_other = np.ones(count, np.bool_)
    is_other[positions] = False
    return pl.Series(is_other)


@dataclass(slots=True)
class Changes:
    """How many rows differ so far, by kind, and on which days."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    days: set[date] = field(default_factory=set)

    @property
    def count(self) -> int:
        """How many rows have to be written or removed."""
        return self.inserted + self.updated + self.deleted

    def add(self, differences: pl.DataFrame, key: tuple[str, str]) -> None:
        """Counts what `find` gave."""
        value = next(name for name in differences.columns if name not in key)
        inserted = int(differences[IS_NEW].sum())
        deleted = differences[value].null_count()
        self.inserted += inserted
        self.deleted += deleted
        self.updated += len(differences) - inserted - deleted
        self.days |= set(differences[key[0]].dt.date().unique())
