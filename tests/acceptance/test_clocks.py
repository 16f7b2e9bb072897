"""Dates of files that no clock ever showed: the order they were dropped in is what counts."""

from __future__ import annotations

import os

import pytest

from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import (
    entity_csv,
    loans_csv,
    sha256,
    some_loans,
    some_values,
)
from tests.acceptance.front_door import Daemon, Front

AN_HOUR_AHEAD = """
UPDATE ops.load
SET
    discovered_at = discovered_at + interval '1 hour',
    started_at = started_at + interval '1 hour',
    finished_at = finished_at + interval '1 hour',
    filed_at = filed_at + interval '1 hour'
"""
SECONDS_OF_A_DAY = 86_400
DATES = {
    "the first later": (4_102_444_800, 1_000_000_000),
    "before 1970 last": (1_700_000_000, -1000 * SECONDS_OF_A_DAY),
}


@pytest.mark.parametrize("dates", DATES.values(), ids=DATES)
async def test_files_of_any_date_load_in_the_order_they_were_dropped_and_keep_their_date(
    dates: tuple[int, int], front: Front, watch: Watch
) -> None:
    contents = [entity_csv(some_values(5, seed=number)) for number in range(2)]
    for number, (date, content) in enumerate(zip(dates, contents, strict=True)):
        # The later name first, so that names do not make the order.
        path = front.drop(f"{'ba'[number]}_entity_2023-01.csv", content)
        os.utime(path, (date, date))
    await watch()

    loads = await front.filed(2)

    assert [load["sha256"] for load in loads] == [sha256(content) for content in contents]
    assert [load["status"] for load in loads] == ["loaded", "loaded"]
    assert [front.filed_file(load) for load in loads] == list(zip(contents, dates, strict=True))
    assert await front.entity() == some_values(5, seed=1)


async def test_a_clock_set_back_hides_no_newer_load_from_the_content_dropped_again(
    front: Front, daemon: Daemon
) -> None:
    old, new = some_values(5), some_values(5, seed=1)
    front.drop("entity_2023-01.csv", entity_csv(old))
    await front.filed(1)
    await front.sql.execute(AN_HOUR_AHEAD)  # as if the clock had been ahead until now
    front.drop("entity_2023-01.csv", entity_csv(new))
    await front.filed(2)
    front.drop("loans.csv", loans_csv(some_loans(3)))
    other = (await front.filed(3))[-1]

    front.drop("entity_2023-01.csv", entity_csv(old))

    loads = await front.filed(4)
    assert [load["status"] for load in loads] == ["loaded"] * 4
    assert await front.entity() == old
    of_the_month = [load["finished_at"] for load in loads if load["pipeline"] == "entity"]
    assert of_the_month == sorted(set(of_the_month))
    assert other["finished_at"] < of_the_month[0]
