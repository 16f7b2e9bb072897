"""Years of a file: how they are written, which overlap, and that they share a lane."""

from __future__ import annotations

import pytest

from app.domain import Years
from app.store.ledger import Content


@pytest.mark.parametrize(
    ("text", "years", "shown"),
    [
        ("2007", Years(2007, 2007), "2007"),
        ("2008-2009", Years(2008, 2009), "2008-2009"),
        ("2008-2008", Years(2008, 2008), "2008"),
    ],
)
def test_years_are_read_as_they_are_written(text: str, years: Years, shown: str) -> None:
    assert Years.parse(text) == years
    assert str(years) == shown


@pytest.mark.parametrize(
    "text", ["", "07", "2009-2008", "2008-", "-2008", "2008 - 2009", "2023-01", "0007", "20080"]
)
def test_what_is_no_years_is_none(text: str) -> None:
    assert Years.parse(text) is None


def test_years_overlap_where_one_year_is_in_both() -> None:
    both = Years(2008, 2009)

    assert [year for year in range(2006, 2012) if Years(year, year).overlap(both)] == [2008, 2009]
    assert Years(2009, 2012).overlap(both)
    assert both.overlap(Years(2000, 2020))
    assert not both.overlap(Years(2010, 2012))


@pytest.mark.parametrize(
    ("pipeline", "scope", "lane"),
    [
        ("risk_scores", None, "risk_scores/"),
        ("risk_scores", "2007", "risk_scores/"),
        ("risk_scores", "2008-2009", "risk_scores/"),
        ("entity", "2023-01", "entity/2023-01"),
        (None, None, "?/x.csv"),
    ],
)
def test_months_of_a_feed_have_their_own_lanes_and_years_have_one(
    pipeline: str | None, scope: str | None, lane: str
) -> None:
    assert Content(pipeline, scope, "f00").lane("x.csv") == lane
