"""Rejects in columns are the same rejects as those of a list."""

from __future__ import annotations

from app.domain import Reject
from app.many_rejects import ManyRejects

LISTED = [
    Reject(2, "loans", "'x' is not a whole number", "2023-01-01,x,0,0"),
    Reject(5, None, "1 field, expected 4", ""),
    Reject(1 << 40, "as_of", "ünïcode", "a\nb"),
]
MANY = ManyRejects.of(LISTED)


def test_they_are_given_one_by_one_by_place_and_in_parts() -> None:
    assert (list(MANY), len(MANY)) == (LISTED, 3)
    assert [MANY[place] for place in range(-3, 3)] == LISTED * 2
    assert list(MANY[1:]) == LISTED[1:]
    assert list(MANY[:0]) == []


def test_only_none_at_all_are_false() -> None:
    assert MANY
    assert not ManyRejects.of([])
    assert list(ManyRejects.of([])) == []


def test_those_in_columns_stay_as_they_are() -> None:
    assert ManyRejects.of(MANY) is MANY
