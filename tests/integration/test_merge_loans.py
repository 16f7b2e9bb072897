"""Loans are merged by repayment date; the newest as-of date wins."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from app import last_rows
from app.domain import LoadCounts, LoadStatus
from app.settings import Settings
from tests.loading import SHARED_FILES, Folder, csv_text

Row = tuple[date, int, int, int]
FIRST = date(2023, 3, 1)


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def loans_file(rows: Sequence[Row], as_of: date | None = None) -> str:
    header = ["Date of Repayment", "Number of Loans"]
    outcomes = ["Default", "Liquidation"]
    header += (
        [f"{name} (as of {as_of})" for name in outcomes]
        if as_of
        else [
            "defaults",
            "liquidations",
        ]
    )
    return csv_text(header, rows)


@dataclass
class Oracle:
    """What the warehouse has to hold after each file, by rules told over again."""

    kept: dict[date, tuple[int, int, int, date]] = field(default_factory=dict)

    def merge(self, rows: Sequence[Row], as_of: date) -> tuple[LoadCounts, set[date]]:
        """Takes a file in; gives its counts and the days whose numbers changed."""
        last = {row[0]: row[1:] for row in rows}
        inserted, updated = set(), set()
        for when, numbers in last.items():
            old = self.kept.get(when)
            if old is None:
                inserted.add(when)
                self.kept[when] = (*numbers, as_of)
            elif as_of >= old[3]:
                if old[:3] != numbers:
                    updated.add(when)
                self.kept[when] = (*numbers, as_of)
        counts = LoadCounts(
            read=len(rows),
            inserted=len(inserted),
            updated=len(updated),
            unchanged=len(last) - len(inserted) - len(updated),
            duplicate=len(rows) - len(last),
        )
        return counts, inserted | updated

    @property
    def rows(self) -> list[tuple[date, int, int, int, date]]:
        return [(when, *numbers) for when, numbers in sorted(self.kept.items())]


async def warehouse(folder: Folder) -> list[tuple[date, int, int, int, date]]:
    return await folder.rows(
        "SELECT repayment_date, loans, defaults, liquidations, as_of"
        " FROM warehouse.loans ORDER BY repayment_date"
    )


async def versions(folder: Folder) -> dict[date, tuple[object, ...]]:
    """Where each row stands and when it changed: equal as long as it is not rewritten."""
    rows = await folder.rows(
        "SELECT repayment_date, ctid::text, xmin::text, load_id, updated_at FROM warehouse.loans"
    )
    return {row[0]: row[1:] for row in rows}


async def test_rows_are_inserted_updated_or_unchanged(folder: Folder) -> None:
    first = await folder.load(
        "loans.csv", loans_file([(day(n), 10, 1, 2) for n in range(4)], date(2023, 5, 1))
    )
    assert first.counts == LoadCounts(read=4, inserted=4)
    assert await folder.touched(first) == {day(n) for n in range(4)}
    before = await versions(folder)
    second = await folder.load(
        "loans_2.csv",
        loans_file([(day(4), 9, 0, 0), (day(1), 10, 1, 2), (day(2), 10, 3, 2)], date(2023, 5, 1)),
    )
    assert second.counts == LoadCounts(read=3, inserted=1, updated=1, unchanged=1)
    assert await folder.touched(second) == {day(2), day(4)}
    assert await warehouse(folder) == [
        (day(0), 10, 1, 2, date(2023, 5, 1)),
        (day(1), 10, 1, 2, date(2023, 5, 1)),
        (day(2), 10, 3, 2, date(2023, 5, 1)),
        (day(3), 10, 1, 2, date(2023, 5, 1)),
        (day(4), 9, 0, 0, date(2023, 5, 1)),
    ]
    after = await versions(folder)
    assert {when for when in before if before[when] != after[when]} == {day(2)}
    assert after[day(2)][2] == after[day(4)][2] == second.load_id


async def test_an_older_as_of_never_overwrites_but_brings_unknown_days(folder: Folder) -> None:
    await folder.load("loans.csv", loans_file([(day(0), 10, 1, 2)], date(2023, 5, 9)))
    before = await versions(folder)
    older = await folder.load(
        "loans_old.csv", loans_file([(day(0), 8, 8, 0), (day(1), 5, 1, 1)], date(2023, 5, 8))
    )
    assert older.counts == LoadCounts(read=2, inserted=1, unchanged=1)
    assert await folder.touched(older) == {day(1)}
    assert await warehouse(folder) == [
        (day(0), 10, 1, 2, date(2023, 5, 9)),
        (day(1), 5, 1, 1, date(2023, 5, 8)),
    ]
    assert (await versions(folder))[day(0)] == before[day(0)]


async def test_an_equal_as_of_corrects(folder: Folder) -> None:
    await folder.load("loans.csv", loans_file([(day(0), 10, 1, 2)], date(2023, 5, 9)))
    again = await folder.load("loans.csv", loans_file([(day(0), 10, 2, 2)], date(2023, 5, 9)))
    assert again.counts == LoadCounts(read=1, updated=1)
    assert await warehouse(folder) == [(day(0), 10, 2, 2, date(2023, 5, 9))]


async def test_equal_numbers_of_a_newer_as_of_guard_against_one_in_between(folder: Folder) -> None:
    first = await folder.load("loans.csv", loans_file([(day(0), 10, 1, 2)], date(2023, 5, 1)))
    before = await versions(folder)
    newer = await folder.load("loans.csv", loans_file([(day(0), 10, 1, 2)], date(2023, 5, 9)))
    assert newer.counts == LoadCounts(read=1, unchanged=1)
    assert await folder.touched(newer) == set()
    after = await versions(folder)
    assert after[day(0)][2:] == before[day(0)][2:]
    assert after[day(0)][2] == first.load_id
    between = await folder.load("loans.csv", loans_file([(day(0), 9, 9, 0)], date(2023, 5, 5)))
    assert between.counts == LoadCounts(read=1, unchanged=1)
    assert await warehouse(folder) == [(day(0), 10, 1, 2, date(2023, 5, 9))]


async def test_the_last_line_of_a_day_that_stands_twice_counts(folder: Folder) -> None:
    rows = [(day(0), 10, 1, 2), (day(1), 5, 0, 0), (day(0), 20, 3, 4), (day(0), 30, 5, 6)]
    load = await folder.load("loans.csv", loans_file(rows, date(2023, 5, 1)))
    assert load.counts == LoadCounts(read=4, inserted=2, duplicate=2)
    assert [row[:4] for row in await warehouse(folder)] == [(day(0), 30, 5, 6), (day(1), 5, 0, 0)]


@pytest.mark.parametrize("most_held", [last_rows.MOST_HELD, 400, 10])
async def test_the_last_line_counts_in_a_large_file_that_holds_its_days_again_and_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, most_held: int
) -> None:
    monkeypatch.setattr(last_rows, "MOST_HELD", most_held)
    oracle, as_of = Oracle(), date(2024, 1, 31)
    for number in range(2):
        chance = random.Random(number)
        days = [day(chance.randrange(300)) for _ in range(40_000)]
        rows = [
            (each, chance.randrange(9, 1_000), chance.randrange(5), chance.randrange(5))
            for each in days
        ]
        expected, _ = oracle.merge(rows, as_of)

        load = await folder.load("loans.csv", loans_file(rows, as_of))

        assert load.counts == expected
        assert await warehouse(folder) == oracle.rows


@pytest.mark.parametrize("repeated", [(), (19_999,), (0,), (16_383, 16_384)])
async def test_a_large_file_in_the_order_of_its_days_may_still_hold_some_twice(
    folder: Folder, repeated: Sequence[int]
) -> None:
    oracle, as_of = Oracle(), date(2024, 1, 31)
    days = [date(1960, 1, 1) + timedelta(days=number) for number in range(20_000)]
    for loans in (7, 8):
        rows = [(each, loans, 1, 0) for each in days]
        rows += [(days[number], 9, 2, 1) for number in repeated]
        expected, _ = oracle.merge(rows, as_of)

        load = await folder.load("loans.csv", loans_file(rows, as_of))

        assert load.counts == expected
        assert await warehouse(folder) == oracle.rows


async def test_a_bad_last_line_of_a_day_leaves_the_good_one_before_it(folder: Folder) -> None:
    rows = [(day(0), 10, 1, 2), (day(0), 1, 5, 5), *((day(n), 1, 0, 0) for n in range(1, 20))]
    load = await folder.load("loans.csv", loans_file(rows, date(2023, 5, 1)))
    assert load.counts == LoadCounts(read=21, inserted=20, rejected=1)
    assert await folder.rejects(load) == [(3, None, f"{day(0)},1,5,5")]
    assert (await warehouse(folder))[0][:4] == (day(0), 10, 1, 2)


async def test_the_canonical_header_takes_the_day_of_arrival_as_as_of(folder: Folder) -> None:
    await folder.load("loans.csv", loans_file([(day(0), 10, 1, 2)], date(2023, 5, 1)))
    today = datetime.now(UTC).astimezone().date()
    load = await folder.load("loans.csv", loans_file([(day(0), 11, 1, 2)]))
    assert load.counts == LoadCounts(read=1, updated=1)
    ((*_, as_of),) = await warehouse(folder)
    assert today <= as_of <= datetime.now(UTC).astimezone().date()


async def test_a_file_of_a_header_alone_changes_nothing(folder: Folder) -> None:
    load = await folder.load("loans.csv", loans_file([], date(2023, 5, 1)))
    assert (load.status, load.counts) == (LoadStatus.LOADED, LoadCounts())


async def test_counts_as_large_as_the_column_are_kept(folder: Folder) -> None:
    most = 2**63 - 1
    rows = [(day(0), most, most, 0), (day(1), most, 0, most), (day(2), most, 2**62, 2**62 - 1)]
    load = await folder.load("loans.csv", loans_file(rows, date(2023, 5, 1)))
    assert load.counts == LoadCounts(read=3, inserted=3)
    assert [row[:4] for row in await warehouse(folder)] == rows


numbers = st.integers(0, 2).flatmap(
    lambda defaults: st.tuples(st.integers(3, 4), st.just(defaults), st.integers(0, 1))
)
files = st.tuples(
    st.lists(st.tuples(st.integers(0, 4), numbers), max_size=8),
    st.integers(0, 3),
)


@hypothesis_settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(dropped=st.lists(files, min_size=1, max_size=5))
async def test_any_sequence_of_files_gives_what_the_rules_say(
    folder: Folder, dropped: list[tuple[list[tuple[int, tuple[int, int, int]]], int]]
) -> None:
    await folder.sql.execute(
        "TRUNCATE warehouse.loans, ops.load, ops.reject, ops.touched_day RESTART IDENTITY"
    )
    oracle = Oracle()
    latest = ""
    for drafts, as_of_number in dropped:
        as_of = date(2023, 5, 1) + timedelta(days=as_of_number)
        rows = [(day(number), *counts) for number, counts in drafts]
        text = loans_file(rows, as_of)
        load = await folder.load("loans.csv", text)
        if text == latest:
            assert load.status is LoadStatus.DUPLICATE
            continue
        latest = text
        assert (load.counts, await folder.touched(load)) == oracle.merge(rows, as_of)
        assert await warehouse(folder) == oracle.rows


async def test_the_real_file_is_in_the_warehouse_row_by_row(folder: Folder) -> None:
    path = SHARED_FILES / "loans.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the project")
    with path.open(encoding="utf-8-sig", newline="") as text:
        _, *fields = csv.reader(text)
    rows = [
        (date.fromisoformat(when), int(loans), int(defaults), int(liquidations))
        for when, loans, defaults, liquidations in fields
    ]
    load = await folder.load("loans.csv", path.read_bytes())
    assert load.counts == LoadCounts(read=620, inserted=620)
    assert await warehouse(folder) == [(*row, date(2023, 5, 9)) for row in sorted(rows)]
    assert await folder.touched(load) == {row[0] for row in rows}
