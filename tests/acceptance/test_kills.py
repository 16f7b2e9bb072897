"""The service is killed or told to stop amid trouble; the next start makes up for it."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import entity_csv, loans_csv, some_loans, some_values
from tests.acceptance.front_door import Front, Row, counts_of, until

BIG = some_values(100_000)


async def is_loaded_but_not_filed(front: Front) -> list[Row]:
    return [
        load
        for load in await front.ledger()
        if load["status"] == "loaded" and load["filed_at"] is None
    ]


@pytest.mark.parametrize("ending", ["repaired while it runs", "killed, then repaired"])
async def test_a_file_that_cannot_be_moved_after_the_commit_is_moved_later_not_loaded_again(
    ending: str, front: Front, watch: Watch
) -> None:
    content = loans_csv(some_loans(20))
    front.settings.archive_folder.write_text("not a folder")
    daemon = await watch()
    front.drop("loans.csv", content)
    await until(lambda: is_loaded_but_not_filed(front), "a load committed and its file not moved")
    await daemon.wait_for("waiting")

    if ending == "killed, then repaired":
        await daemon.kill()
        front.settings.archive_folder.unlink()
        daemon = await watch()
    else:
        front.settings.archive_folder.unlink()

    [load] = await front.filed(1)
    await daemon.stop()
    assert (load["status"], load["attempt"], counts_of(load)) == (
        "loaded",
        1,
        {"read": 20, "inserted": 20},
    )
    assert list(front.archived.values()) == [content]
    assert front.waiting == {}


async def test_content_overwritten_while_the_service_was_down_is_failed_and_the_new_one_loads(
    front: Front, watch: Watch
) -> None:
    daemon = await watch()
    async with front.sql.transaction():
        await front.sql.execute("LOCK TABLE warehouse.loans")
        front.drop("loans.csv", loans_csv(some_loans(20)))
        await daemon.wait_for("load started")
        await daemon.kill()
    front.drop("loans.csv", loans_csv(some_loans(30, seed=1)))

    await watch()

    first, second = await front.filed(2)
    assert (first["status"], second["status"]) == ("failed", "loaded")
    assert "overwritten" in first["error"]
    assert await front.loans() == some_loans(30, seed=1)


# Told to stop


async def test_a_load_under_way_is_finished_when_the_service_is_told_to_stop(
    front: Front, watch: Watch
) -> None:
    daemon = await watch()
    front.drop("entity_2023-01.csv", entity_csv(BIG))
    front.drop("loans.csv", loans_csv(some_loans(20)))
    await daemon.wait_for("load started", count=2)

    await daemon.stop()

    loads = {load["file_name"]: load["status"] for load in await front.filed(2)}
    assert loads == {"entity_2023-01.csv": "loaded", "loans.csv": "loaded"}
    assert await front.entity() == BIG


async def test_a_load_that_cannot_end_in_time_is_rolled_back_and_loaded_at_the_next_start(
    front: Front, watch: Watch
) -> None:
    await front.sql.execute(
        """
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
        CREATE TRIGGER dawdle AFTER INSERT ON warehouse.loans EXECUTE FUNCTION dawdle();
        """
    )
    daemon = await watch()
    front.drop("loans.csv", loans_csv(some_loans(20)))
    await daemon.wait_for("load started")

    await daemon.stop()

    assert daemon.events_named("load given up; its file is loaded at the next start")
    [load] = await front.ledger()
    assert (load["status"], list(front.waiting)) == ("running", ["loans.csv"])
    assert await front.staged_tables() == []

    await front.sql.execute("DROP TRIGGER dawdle ON warehouse.loans")
    await watch()
    [load] = await front.filed(1)
    assert (load["status"], load["attempt"]) == ("loaded", 2)
    assert await front.loans() == some_loans(20)
