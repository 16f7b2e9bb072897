"""Rows are numbered by day and then line, however they are cut into batches."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from app.store.ranks import ByDay, ByLine, count_days

FIRST_DAY = date(2007, 5, 26)
batches_of_days = st.lists(
    st.lists(
        st.integers(0, 4).map(lambda days: FIRST_DAY + timedelta(days)), min_size=1, max_size=8
    ),
    max_size=5,
)


def frame(days: list[date]) -> pl.DataFrame:
    return pl.DataFrame({"day": days}, schema={"day": pl.Date})


@given(batches_of_days)
def test_a_row_has_the_rank_of_its_day_and_line(batches: list[list[date]]) -> None:
    lines = [(day, line) for line, day in enumerate(day for days in batches for day in days)]
    ranks = {line: 101 + rank for rank, (_day, line) in enumerate(sorted(lines))}

    rows_of_days: Counter[date] = Counter()
    for days in batches:
        rows_of_days.update(count_days(frame(days)))
    by_day = ByDay("day", rows_of_days, first_id=101)
    found = [rank for days in batches for rank in by_day.number(frame(days))]

    assert found == [ranks[line] for line in range(len(lines))]


@given(batches_of_days)
def test_without_days_the_line_counts_alone(batches: list[list[date]]) -> None:
    by_line = ByLine(first_id=101)

    found = [rank for days in batches for rank in by_line.number(frame(days))]

    assert found == list(range(101, 101 + len(found)))
    assert len(found) == sum(map(len, batches))
