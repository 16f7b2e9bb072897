"""Rows that a later one replaces are left out, and never one that counts."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app import last_rows
from app.last_rows import LastRows

Row = tuple[int, int]


def kept(batches: list[list[int]]) -> list[list[Row]]:
    """Gives the rows that come out, a list for each time; a row is its key and its line."""
    last = LastRows("key", lambda frame: frame.select("key", "line").rows())
    line, out = 0, []
    for keys in batches:
        lines = range(line, line + len(keys))
        out.append(last.take(pl.DataFrame({"line": lines, "key": keys}, {"line": int, "key": int})))
        line += len(keys)
    return [rows for rows in [*out, last.rest()] if rows is not None]


keys = st.integers(0, 6)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(keys, min_size=1, max_size=8), max_size=8), st.integers(1, 9))
def test_the_last_row_of_each_key_comes_out_and_no_row_twice(
    monkeypatch: pytest.MonkeyPatch, batches: list[list[int]], most_held: int
) -> None:
    monkeypatch.setattr(last_rows, "MOST_HELD", most_held)
    rows = [(key, line) for line, key in enumerate(key for keys in batches for key in keys)]

    out = [row for rows in kept(batches) for row in rows]

    assert len(out) == len(set(out))
    assert set(out) <= set(rows)
    assert dict(sorted(out, key=lambda row: row[1])) == dict(rows)


def test_of_states_that_follow_on_each_other_only_the_last_comes_out() -> None:
    states = [1, 2, 3] * 100

    assert [sorted(rows) for rows in kept([states[:50], states[50:]])] == [
        [(1, 297), (2, 298), (3, 299)]
    ]


def test_rows_that_increase_go_on_at_once() -> None:
    assert kept([[1, 2], [4, 9]]) == [[(1, 0), (2, 1)], [(4, 2), (9, 3)]]


def test_where_hardly_a_key_comes_again_no_more_rows_are_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(last_rows, "MOST_HELD", 3)

    first, second = kept([[9, 2], [8, 3, 2], [1, 1]])

    assert sorted(first) == [(2, 4), (3, 3), (8, 2), (9, 0)]
    assert second == [(1, 5), (1, 6)]
