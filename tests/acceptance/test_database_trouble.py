"""The database goes away, comes back, or keeps a load waiting: the service goes on by itself."""

from __future__ import annotations

import asyncpg

from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import entity_csv, loans_csv, some_loans, some_values
from tests.acceptance.front_door import Daemon, Front, until

BIG = some_values(100_000)
SLUICE = "application_name = 'sluice' AND datname = current_database()"


async def test_a_load_whose_connection_is_ended_is_done_again(front: Front, daemon: Daemon) -> None:
    async with front.sql.transaction():
        await front.sql.execute("LOCK TABLE warehouse.loans")
        front.drop("loans.csv", loans_csv(some_loans(20)))
        await daemon.wait_for("load started")

        async def ended() -> object:
            return await front.sql.fetchval(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE {SLUICE} AND wait_event_type = 'Lock'"
            )

        await until(ended, "a load's connection ended while it waits for the table")
        await daemon.wait_for("waiting")
        assert list(front.waiting) == ["loans.csv"]

    [load] = await front.filed(1)
    assert (load["status"], load["attempt"]) == ("loaded", 2)
    assert await front.loans() == some_loans(20)
    [waiting] = daemon.events_named("waiting")
    assert waiting["reason"].startswith("The database cannot be reached: ")
    assert waiting["file"] == "loans.csv"


async def test_a_load_whose_connection_is_ended_while_it_copies_is_done_again(
    front: Front, daemon: Daemon
) -> None:
    front.drop("entity_2023-01.csv", entity_csv(BIG))

    async def ended() -> object:
        return await front.sql.fetchval(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE {SLUICE} AND query LIKE 'COPY%' AND state = 'active'"
        )

    await until(ended, "a connection ended while it copies")

    [load] = await front.filed(1)
    assert (load["status"], load["attempt"]) == ("loaded", 2)
    assert await front.entity() == BIG
    assert await front.staged_tables() == []


async def test_idle_connections_that_were_ended_cost_no_file(front: Front, daemon: Daemon) -> None:
    front.drop("loans_1.csv", loans_csv(some_loans(20)))
    await front.filed(1)
    await front.sql.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {SLUICE}"
    )
    front.drop("loans_2.csv", loans_csv(some_loans(21)))

    loads = await front.filed(2)

    assert [load["status"] for load in loads] == ["loaded", "loaded"]
    assert not any(event["level"] == "error" for event in daemon.events)


async def test_a_database_that_takes_no_connections_is_waited_for(
    front: Front, daemon: Daemon, server_url: str
) -> None:
    name = await front.sql.fetchval("SELECT current_database()")
    other = await asyncpg.connect(server_url)
    try:
        await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await front.sql.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {SLUICE}"
        )
        front.drop("loans_1.csv", loans_csv(some_loans(20)))
        front.drop("entity_2023-01.csv", entity_csv(some_values(10)))
        await daemon.wait_for("waiting", count=2)
        assert sorted(front.waiting) == ["entity_2023-01.csv", "loans_1.csv"]
        assert await front.ledger() == []
    finally:
        await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await other.close()

    loads = await front.filed(2)
    assert {load["status"] for load in loads} == {"loaded"}
    await daemon.wait_for("works again", count=2)
    assert not any(event["level"] == "error" for event in daemon.events)
    assert len(daemon.events_named("waiting")) <= 4


async def test_a_locked_table_is_waited_for_and_said_so_in_one_line(
    front: Front, daemon: Daemon
) -> None:
    async with front.sql.transaction():
        await front.sql.execute("LOCK TABLE warehouse.loans")
        front.drop("loans.csv", loans_csv(some_loans(20)))
        front.drop("entity_2023-01.csv", entity_csv(some_values(10)))
        await daemon.wait_for("waiting")
        assert list(front.waiting) == ["loans.csv"]

    loads = {load["file_name"]: load["status"] for load in await front.filed(2)}
    assert loads == {"loans.csv": "loaded", "entity_2023-01.csv": "loaded"}
    assert await front.loans() == some_loans(20)
    [waiting] = daemon.events_named("waiting")
    assert "lock" in waiting["reason"]
    assert (waiting["level"], waiting["file"]) == ("warning", "loans.csv")
    await daemon.wait_for("works again")
    assert len(daemon.events_named("works again")) == 1


async def test_loads_that_wait_keep_no_worker_and_their_feeds_stay_in_order(
    front: Front, watch: Watch
) -> None:
    daemon = await watch(WORKERS="1")
    async with front.sql.transaction():
        await front.sql.execute("LOCK TABLE warehouse.loans, staging.job_titles")
        for number in (20, 21, 22):
            front.drop(f"loans_{number}.csv", loans_csv(some_loans(number)))
        front.drop("job_titles.csv", b"title,pdl_count,related\nbaker,3,bread\n")
        await daemon.wait_for("waiting", count=2)
        front.drop("entity_2023-01.csv", entity_csv(some_values(10)))
        await daemon.wait_for("load finished")
        assert sorted(front.waiting) == [
            *("job_titles.csv", "loans_20.csv", "loans_21.csv", "loans_22.csv")
        ]

    loads = await front.filed(5)
    assert {load["status"] for load in loads} == {"loaded"}
    finished = [event["file"] for event in daemon.events_named("load finished")]
    assert finished[0] == "entity_2023-01.csv"
    assert [name for name in finished if name.startswith("loans")] == [
        *("loans_20.csv", "loans_21.csv", "loans_22.csv")
    ]
    for phrase in ("waiting", "works again"):
        files = sorted(event["file"] for event in daemon.events_named(phrase))
        assert files == ["job_titles.csv", "loans_20.csv"]


async def test_a_file_that_cannot_be_moved_away_is_tried_again_and_holds_up_no_other(
    front: Front, watch: Watch
) -> None:
    daemon = await watch(WORKERS="1")
    archive = front.settings.archive_folder
    archive.write_text("in the way")
    front.drop("loans_1.csv", loans_csv(some_loans(20)))
    front.drop("loans_2.csv", loans_csv(some_loans(21)))
    await daemon.wait_for("waiting", count=2)
    archive.unlink()

    assert await front.outcomes(2) == [("loans_1.csv", "loaded"), ("loans_2.csv", "loaded")]
    await daemon.wait_for("works again", count=2)
    for phrase in ("waiting", "works again"):
        files = sorted(event["file"] for event in daemon.events_named(phrase))
        assert files == ["loans_1.csv", "loans_2.csv"]


async def test_a_commit_whose_answer_was_lost_is_found_in_the_ledger(
    front: Front, daemon: Daemon
) -> None:
    # Ends the connection in the commit, after all is written: its answer never arrives.
    await front.sql.execute(
        """
        CREATE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF new.status = 'loaded' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER hang_up AFTER UPDATE ON ops.load
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hang_up();
        """
    )
    front.drop("loans.csv", loans_csv(some_loans(20)))
    await daemon.wait_for("waiting")
    await front.sql.execute("DROP TRIGGER hang_up ON ops.load")

    [load] = await front.filed(1)
    assert load["status"] == "loaded"
    assert await front.loans() == some_loans(20)
    assert len(front.archived) == 1


async def test_a_schema_that_is_not_up_to_date_is_waited_for(front: Front, daemon: Daemon) -> None:
    await front.sql.execute("ALTER TABLE warehouse.loans RENAME TO loans_away")
    front.drop("loans.csv", loans_csv(some_loans(20)))
    await daemon.wait_for("waiting")
    assert list(front.waiting) == ["loans.csv"]
    assert "python -m app migrate" in daemon.events_named("waiting")[0]["reason"]

    await front.sql.execute("ALTER TABLE warehouse.loans_away RENAME TO loans")

    [load] = await front.filed(1)
    assert load["status"] == "loaded"


async def test_a_service_that_waits_for_the_database_stops_when_told_to(
    front: Front, daemon: Daemon
) -> None:
    await front.sql.execute("ALTER TABLE ops.load RENAME TO load_away")
    front.drop("loans.csv", loans_csv(some_loans(20)))
    await daemon.wait_for("waiting")

    await daemon.stop()

    assert list(front.waiting) == ["loans.csv"]
    await front.sql.execute("ALTER TABLE ops.load_away RENAME TO load")
