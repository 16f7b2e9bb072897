"""Files that are written to, replaced or removed at the wrong moment: each content ends once."""

from __future__ import annotations

import os
import shutil

import asyncpg
import pytest

from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import (
    Loans,
    entity_csv,
    gzipped,
    loans_csv,
    sha256,
    some_loans,
    some_values,
    titles_csv,
)
from tests.acceptance.front_door import Daemon, Front, Row, until

OLD = some_loans(20)
NEW = some_loans(30, seed=1)
MORE = {day: counts for day, counts in some_loans(30).items() if day not in OLD}


def rows_of(loans: Loans) -> bytes:
    return loans_csv(loans).split(b"\n", 1)[1]


async def load_waits(sql: asyncpg.Connection) -> bool:
    """Whether a load stands before a lock, in the middle of its transaction."""
    return bool(
        await sql.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sluice'"
            " AND datname = current_database() AND wait_event_type = 'Lock'"
        )
    )


async def stop_in_the_middle(front: Front, table: str, name: str, content: bytes) -> None:
    """Drops a file whose load then waits for the table, as long as the transaction lasts."""
    await front.sql.execute(f"LOCK TABLE {table}")
    front.drop(name, content)
    await until(lambda: load_waits(front.sql), f"a load that waits for {table}")


async def test_a_file_that_is_replaced_while_it_loads_is_kept_and_its_successor_loads_too(
    front: Front, daemon: Daemon
) -> None:
    async with front.sql.transaction():
        await stop_in_the_middle(front, "warehouse.loans", "loans.csv", loans_csv(OLD))
        front.drop("loans.csv", loans_csv(NEW))

    first, second = await front.filed(2)

    assert (first["status"], second["status"]) == ("loaded", "loaded")
    assert front.filed_file(first)[0] == loans_csv(OLD)
    assert front.filed_file(second)[0] == loans_csv(NEW)
    assert (await front.loans(), front.waiting) == (NEW, {})


async def test_a_file_that_is_removed_while_it_loads_is_kept_in_the_archive(
    front: Front, daemon: Daemon
) -> None:
    async with front.sql.transaction():
        await stop_in_the_middle(front, "warehouse.loans", "loans.csv", loans_csv(OLD))
        front.path("loans.csv").unlink()

    [load] = await front.filed(1)

    assert load["status"] == "loaded"
    assert front.filed_file(load)[0] == loans_csv(OLD)
    assert await front.loans() == OLD


async def test_a_folder_that_is_deleted_while_a_file_of_it_loads_costs_nothing_of_the_load(
    front: Front, daemon: Daemon
) -> None:
    async with front.sql.transaction():
        await stop_in_the_middle(front, "warehouse.loans", "loans.csv", loans_csv(OLD))
        shutil.rmtree(front.settings.imports_dir)
    await front.filed(1)
    front.drop("loans_2.csv", loans_csv(NEW))

    first, second = await front.filed(2)

    assert (first["status"], second["status"]) == ("loaded", "loaded")
    assert front.filed_file(first)[0] == loans_csv(OLD)
    assert await front.loans() == NEW


@pytest.mark.parametrize(
    ("table", "status", "error"),
    [
        # Before it is read to the end, and after that.
        ("staging.loans", "failed", "loans.csv was written to while it was read"),
        ("warehouse.loans", "loaded", None),
    ],
)
async def test_a_file_that_is_overwritten_in_place_while_it_loads_ends_with_what_it_holds_then(
    table: str, status: str, error: str | None, front: Front, daemon: Daemon
) -> None:
    async with front.sql.transaction():
        await stop_in_the_middle(front, table, "loans.csv", loans_csv(OLD))
        front.path("loans.csv").write_bytes(loans_csv(NEW))

    first, second = await front.filed(2)

    assert (first["status"], first["filed_path"]) == (status, None)
    assert error is None or first["error"].startswith(error)
    assert second["status"] == "loaded"
    assert front.filed_file(second)[0] == loans_csv(NEW)
    assert (await front.loans(), front.waiting) == (NEW, {})


@pytest.mark.parametrize(
    ("table", "status"), [("staging.loans", "failed"), ("warehouse.loans", "loaded")]
)
async def test_a_correction_of_the_same_size_and_date_is_told_from_the_file_that_loads(
    table: str, status: str, front: Front, daemon: Daemon
) -> None:
    corrected = {day: (loans + 1, bad, sold) for day, (loans, bad, sold) in OLD.items()}
    old, new = loans_csv(OLD), loans_csv(corrected)
    assert len(old) == len(new)
    async with front.sql.transaction():
        await front.sql.execute(f"LOCK TABLE {table}")
        front.copy_like_docker("loans.csv", old)
        await until(lambda: load_waits(front.sql), "a load that waits")
        front.copy_like_docker("loans.csv", new)

    loads = await front.filed(2)

    assert [(load["status"], load["filed_path"] is None) for load in loads] == [
        (status, True),
        ("loaded", False),
    ]
    assert front.filed_file(loads[1])[0] == new
    assert (await front.loans(), front.waiting) == (corrected, {})


async def test_a_file_that_is_cut_short_while_it_is_read_leaves_no_load_behind(
    front: Front, daemon: Daemon
) -> None:
    # More than is read at a time, so that the end is still to come.
    content = gzipped(titles_csv({f"title {number:09}": number for number in range(250_000)}))
    async with front.sql.transaction():
        await stop_in_the_middle(front, "staging.job_titles", "titles.csv.gz", content)
        os.truncate(front.path("titles.csv.gz"), len(content) // 2)

    first, second = await front.filed(2)

    assert (first["status"], second["status"]) == ("failed", "quarantined")
    assert "was written to while it was read" in first["error"]
    assert "cut off or damaged" in second["error"]
    assert await front.rows("SELECT * FROM warehouse.job_title") == []


async def test_what_a_writer_adds_after_the_load_is_loaded_and_not_lost_in_the_archive(
    front: Front, daemon: Daemon
) -> None:
    async with front.sql.transaction():
        await stop_in_the_middle(front, "warehouse.loans", "loans.csv", loans_csv(OLD))
        writer = front.path("loans.csv").open("ab")
    with writer:
        await front.filed(1)
        assert front.path("loans.csv").exists()
        writer.write(rows_of(MORE))

    first, second = await front.filed(2)

    assert (first["status"], second["status"]) == ("loaded", "loaded")
    assert front.filed_file(first)[0] == loans_csv(OLD)
    assert front.filed_file(second)[0] == loans_csv(OLD) + rows_of(MORE)
    assert await front.loans() == OLD | MORE


async def test_a_file_that_is_written_again_while_it_waits_its_turn_is_not_loaded_by_halves(
    front: Front, daemon: Daemon
) -> None:
    whole = loans_csv(NEW)
    async with front.sql.transaction():
        await stop_in_the_middle(front, "warehouse.loans", "loans_1.csv", loans_csv(OLD))
        front.drop("loans_2.csv", loans_csv(OLD))
        front.drop("entity_2023-01.csv", entity_csv(some_values(5)))
        # By now the second file has been handed over too.
        await daemon.wait_for("load finished")
        writer = front.path("loans_2.csv").open("wb")
        writer.write(whole[:200])
        writer.flush()
    with writer:
        await daemon.wait_for("load finished", count=2)
        front.drop("loans_3.csv", loans_csv({min(NEW): (1, 1, 0)}, as_of="2020-01-01"))
        await daemon.wait_for("load finished", count=3)
        assert len(await front.ledger()) == 3
        writer.write(whole[200:])

    loads = {load["file_name"]: load for load in await front.filed(4)}

    assert loads["loans_2.csv"]["status"] == "loaded"
    assert front.filed_file(loads["loans_2.csv"])[0] == whole
    assert await front.loans() == NEW


async def test_a_file_that_is_removed_while_its_load_waits_to_be_tried_again_is_failed(
    front: Front, daemon: Daemon
) -> None:
    async with front.sql.transaction():
        await stop_in_the_middle(front, "warehouse.loans", "loans.csv", loans_csv(OLD))
        front.path("loans.csv").unlink()
        await daemon.wait_for("waiting")

    [load] = await front.filed(1)

    assert (load["status"], load["filed_path"]) == ("failed", None)
    assert "not in imports/" in load["error"]
    assert await front.loans() == {}


async def test_a_file_that_is_made_anew_while_its_load_waits_to_be_tried_again_loads_whole(
    front: Front, watch: Watch
) -> None:
    daemon = await watch()
    async with front.sql.transaction():
        await stop_in_the_middle(front, "warehouse.loans", "loans.csv", loans_csv(OLD))
        front.drop("loans.csv", loans_csv(NEW))
        await daemon.wait_for("waiting")

    first, second = await front.filed(2)

    assert (first["status"], second["status"]) == ("failed", "loaded")
    assert "overwritten" in first["error"]
    assert (await front.loans(), len(front.archived)) == (NEW, 1)


async def test_a_file_replaced_again_and_again_loads_whole_versions_and_the_last_one(
    front: Front, daemon: Daemon
) -> None:
    contents = [loans_csv(some_loans(20, seed=number)) for number in range(100)]
    for number, content in enumerate(contents):
        # No wait between them: some come between the daemon's look at a file and its opening it.
        unfinished = front.path(f".{number}")
        unfinished.write_bytes(content)
        unfinished.rename(front.path("loans.csv"))

    last = await until(lambda: loaded(front, contents[-1]), "the last version is loaded")

    loads = await front.ledger()
    hashes = [load["sha256"] for load in loads]
    assert [load["status"] for load in loads] == ["loaded"] * len(loads)
    assert (last, sorted(set(hashes), key=hashes.index)) == (loads[-1], hashes)
    order = [sha256(content) for content in contents]
    assert [order.index(each) for each in hashes] == sorted(order.index(each) for each in hashes)
    assert [front.filed_file(load)[0] for load in loads] == [
        contents[order.index(each)] for each in hashes
    ]
    assert (await front.loans(), front.waiting) == (some_loans(20, seed=99), {})


async def loaded(front: Front, content: bytes) -> Row | None:
    """The load that brought a content, once all loads there are have been filed away."""
    loads = await front.ledger()
    is_over = all(load["filed_at"] for load in loads)
    return next((load for load in loads if is_over and load["sha256"] == sha256(content)), None)
