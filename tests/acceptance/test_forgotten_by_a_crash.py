"""What the server may forget in a crash: that files were filed; these notes do not wait for disk.

The note is taken back here as such a crash does it; the service lives on and does not notice.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import Loans, entity_csv, loans_csv, some_loans, some_values
from tests.acceptance.front_door import LONG_AGO, Daemon, Front, counts_of

OLD, NEW = some_loans(20), some_loans(20, seed=1)


def mtime_ns_of(path: str) -> int:
    return Path(path).stat().st_mtime_ns


async def forget_that_it_was_filed(front: Front, load_id: int) -> None:
    await front.sql.execute(
        "UPDATE ops.load SET filed_at = NULL, filed_path = NULL WHERE load_id = $1", load_id
    )


@pytest.mark.parametrize("date", ["a date of its own", "the date it had"])
async def test_an_older_content_dropped_again_is_loaded_although_its_filing_was_forgotten(
    date: str, front: Front, daemon: Daemon
) -> None:
    contents: dict[str, Loans] = {"loans.csv": OLD, "loans_corrected.csv": NEW}
    for count, (name, loans) in enumerate(contents.items(), start=1):
        front.drop(name, loans_csv(loans))
        loads = await front.filed(count)
    first = loads[0]
    kept = first["filed_path"]
    await forget_that_it_was_filed(front, first["load_id"])

    unfinished = front.path(".loans.csv.part")
    unfinished.write_bytes(loans_csv(OLD))
    if date == "the date it had":
        os.utime(unfinished, ns=(LONG_AGO, mtime_ns_of(kept)))
    unfinished.rename(front.path("loans.csv"))

    loads = await front.filed(3)
    assert [load["status"] for load in loads] == ["loaded"] * 3
    assert counts_of(loads[2]) == {"read": 20, "updated": 20}
    assert loads[0]["filed_path"] == kept
    assert await front.loans() == OLD
    assert sorted(front.archived.values()) == sorted(map(loans_csv, [OLD, NEW, OLD]))


async def test_the_latest_content_dropped_again_is_a_duplicate_although_its_filing_was_forgotten(
    front: Front, daemon: Daemon
) -> None:
    values = some_values(10)
    front.drop("entity_2023-01.csv", entity_csv(values))
    [load] = await front.filed(1)
    await forget_that_it_was_filed(front, load["load_id"])

    front.drop("entity_2023-01.csv", entity_csv(values))

    assert [status for _, status in await front.outcomes(2)] == ["loaded", "duplicate"]
    assert list(front.archived.values()) == [entity_csv(values)] * 2


async def test_what_was_forgotten_is_found_at_the_next_start(front: Front, watch: Watch) -> None:
    daemon = await watch()
    front.drop("loans.csv", loans_csv(OLD))
    [load] = await front.filed(1)
    await forget_that_it_was_filed(front, load["load_id"])
    await daemon.stop()

    await watch()

    [again] = await front.filed(1)
    assert again["filed_path"] == load["filed_path"]


async def test_a_file_with_two_names_that_was_copied_before_a_kill_is_not_taken_for_another(
    front: Front, watch: Watch
) -> None:
    """Such a file is copied into the archive, and goes only then."""
    daemon = await watch()
    front.drop("loans.csv", loans_csv(OLD))
    [load] = await front.filed(1)
    await daemon.kill()
    await forget_that_it_was_filed(front, load["load_id"])
    shutil.copy2(load["filed_path"], front.path("loans.csv"))
    os.link(front.path("loans.csv"), front.settings.logs_dir / "its other name")

    await watch()

    [again] = await front.filed(1)
    assert again["filed_path"] == load["filed_path"]
    assert list(front.archived.values()) == [loans_csv(OLD)]
    assert front.waiting == {}
