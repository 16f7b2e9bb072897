"""Drops, kills at any instant and restarts, again and again: as if nobody had been killed.

`make kills` runs all seeds; `make test` the first of them, and `KILL_RUNS` any number.
"""

from __future__ import annotations

import os

import pytest

from tests.acceptance.crash_walk import Side
from tests.acceptance.front_door import Front
from tests.acceptance.random_kills import Oracle, Run, in_load_order, kept
from tests.integration.exports_tree import assert_tree_is_right
from tests.integration.feature_values import require_all
from tests.integration.warehouse_rows import (
    Warehouse,
    assert_daily_stats_are_right,
    assert_rates_are_right,
)

SEEDS = range(1, 201)
RUNS = int(os.environ.get("KILL_RUNS", "8"))


@pytest.mark.parametrize("seed", SEEDS[:RUNS])
async def test_whatever_is_killed_and_whenever_nothing_is_lost_or_loaded_twice(
    seed: int, side: Side
) -> None:
    run = Run(seed, side)

    await run.go()

    assert run.kills >= 4
    assert run.kills_in_loads
    await check_ledger(side.front, run.oracle)
    await check_warehouse(side.front, run.oracle)
    await check_folders(side.front, run.oracle)


async def check_ledger(front: Front, oracle: Oracle) -> None:
    loads = await front.ledger()
    assert {load["file_name"]: load["status"] for load in loads} == oracle.ends
    assert len(loads) == len(oracle.ends)
    for load in loads:
        counts = ("inserted", "updated", "unchanged", "rejected", "duplicate")
        assert load["rows_read"] == sum(load[f"rows_{name}"] for name in counts)
        assert load["rows_read"] == oracle.rows[load["file_name"]]
        assert load["filed_at"]
    assert await front.staged_tables() == []


async def check_warehouse(front: Front, oracle: Oracle) -> None:
    assert await front.loans() == oracle.loans
    assert await front.entity() == oracle.entity
    titles = await front.rows(
        "SELECT title, pdl_count, related_title FROM warehouse.job_title"
        " JOIN warehouse.related_title USING (title)"
    )
    assert {title: (count, term) for title, count, term in titles} == oracle.titles
    assert len(titles) == len(oracle.titles)
    names = [load["file_name"] for load in await front.ledger()]
    await require_all(front.sql, in_load_order(oracle, names), versions=(0,))
    derived = Warehouse(front.sql, loans=oracle.loans, values=oracle.values_by_day)
    await assert_rates_are_right(derived)
    await assert_daily_stats_are_right(derived)
    assert_tree_is_right(front.settings.exports_dir, derived)


async def check_folders(front: Front, oracle: Oracle) -> None:
    assert front.waiting == {}
    assert sorted(front.archived.values()) == kept(
        oracle.contents, oracle.ends, "loaded", "duplicate"
    )
    quarantined = [body for name, body in front.quarantined.items() if name.endswith(".csv")]
    assert sorted(quarantined) == kept(oracle.contents, oracle.ends, "quarantined")
    assert len(front.quarantined) == 2 * len(quarantined)
    filed = {load["filed_path"] for load in await front.ledger()}
    assert filed == {
        *(str(front.settings.archive_folder / path) for path in front.archived),
        *(
            str(front.settings.quarantine_folder / path)
            for path in front.quarantined
            if path.endswith(".csv")
        ),
    }
    hidden = [path.name for path in front.settings.imports_dir.rglob(".*") if path.is_file()]
    assert hidden == []
    assert not list(front.settings.imports_dir.glob("**/.moving/*"))
