"""What differs between two runs of rows, held against plain dictionaries."""

from __future__ import annotations

from datetime import date, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from app.store import differences
from app.store.differences import Changes
from tests.integration.months_files import Key, Month, at

KEY = ("created_at", "entity_id")
SCHEMA = pl.Schema({"created_at": pl.Datetime("us"), "entity_id": pl.Int64(), "value": pl.Int64()})
EXTREMES = [-(2**63), -1, 0, 1, 2, 3, 2**63 - 1]

instants = st.builds(at, st.integers(1, 3), st.sampled_from([0, 0.000001, 1, 86399]))
keys = st.tuples(instants, st.sampled_from(EXTREMES))
months = st.dictionaries(keys, st.sampled_from(EXTREMES), max_size=12)


def rows_of(month: Month) -> pl.DataFrame:
    """The month's rows in key order."""
    rows = sorted((*key, value) for key, value in month.items())
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def physical(key: Key) -> differences.Key:
    microseconds = (key[0] - datetime.fromisoformat("1970-01-01")).total_seconds() * 1e6
    return round(microseconds), key[1]


@given(months, months)
def test_each_key_that_differs_is_found_once(staged: Month, kept: Month) -> None:
    found = differences.find(rows_of(staged), rows_of(kept), KEY)

    expected = {
        key: (staged.get(key), key not in kept)
        for key in staged.keys() | kept.keys()
        if staged.get(key) != kept.get(key)
    }
    assert {(row[0], row[1]): (row[2], row[3]) for row in found.rows()} == expected
    assert len(found) == len(expected)
    assert found.columns == [*SCHEMA, "is_new"]


@given(months, months)
def test_changes_are_counted_by_kind_and_their_days_named(staged: Month, kept: Month) -> None:
    changes = Changes()
    changes.add(differences.find(rows_of(staged), rows_of(kept), KEY), KEY)

    differ = {key for key in staged.keys() | kept.keys() if staged.get(key) != kept.get(key)}
    assert changes == Changes(
        inserted=len(staged.keys() - kept.keys()),
        updated=len(differ & staged.keys() & kept.keys()),
        deleted=len(kept.keys() - staged.keys()),
        days={key[0].date() for key in differ},
    )
    assert changes.count == len(differ)


@given(months, keys)
def test_rows_are_counted_up_to_a_key(month: Month, last: Key) -> None:
    count = differences.rows_until(rows_of(month), KEY, physical(last))

    assert count == sum(key <= last for key in month)


@given(st.lists(keys, min_size=1, max_size=5))
def test_rows_are_in_order_when_each_key_is_beyond_the_one_before(listed: list[Key]) -> None:
    rows = pl.DataFrame([(*key, 0) for key in listed], schema=SCHEMA, orient="row")

    assert differences.is_ordered(rows, KEY) == (listed == sorted(set(listed)))
    assert differences.last_key(rows, KEY) == physical(listed[-1])


def test_changes_add_up() -> None:
    changes = Changes()
    first, second = {(at(1), 1): 1}, {(at(2), 1): 1}
    changes.add(differences.find(rows_of(first), rows_of({}), KEY), KEY)
    changes.add(differences.find(rows_of({}), rows_of(second), KEY), KEY)

    assert changes == Changes(inserted=1, deleted=1, days={date(2023, 1, 1), date(2023, 1, 2)})
