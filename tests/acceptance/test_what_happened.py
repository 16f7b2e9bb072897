"""`status` answers "what happened to my file?", and the logs tell the same story."""

from __future__ import annotations

import json
import re

import asyncpg

from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import entity_csv, loans_csv, some_loans, some_values
from tests.acceptance.front_door import Daemon, Front, Row, until

GOOD = loans_csv(some_loans(10))


async def has_one_running(front: Front) -> bool:
    return any(load["status"] == "running" for load in await front.ledger())


async def test_status_tells_each_files_state_and_what_the_waiting_ones_wait_for(
    front: Front, watch: Watch, sql: asyncpg.Connection
) -> None:
    daemon = await watch()
    front.drop("loans_1.csv", GOOD)
    front.drop("loans_2.csv", GOOD)
    front.drop("loans_3.csv", b"a,b\n1,2\n")
    await front.filed(3)
    await sql.execute("ALTER TABLE warehouse.entity ADD CONSTRAINT none CHECK (value < 0)")
    front.drop("entity_2023-01.csv", entity_csv(some_values(3)))
    await front.filed(4)
    async with sql.transaction():
        await sql.execute("LOCK TABLE warehouse.loans")
        front.drop("loans_5.csv", loans_csv(some_loans(11)))
        await until(lambda: has_one_running(front), "a load under way")
        await daemon.kill()
    front.drop("loans_6.csv", GOOD)
    with front.path("loans_7.csv").open("wb") as file:
        file.write(GOOD)
        file.flush()
        said = await front.status()
        code, shown = await front.command("status")

    states = {each["file_name"]: (each["status"], each["what_happened"]) for each in said["files"]}
    assert {name: status for name, (status, _) in states.items()} == {
        "loans_1.csv": "loaded",
        "loans_2.csv": "duplicate",
        "loans_3.csv": "quarantined",
        "entity_2023-01.csv": "failed",
        "loans_5.csv": "running",
    }
    for name, said_of_it in {
        "loans_1.csv": "loaded: 10 inserted",
        "loans_2.csv": "The same content as load 1",
        "loans_3.csv": "quarantined: Found the header 'a', 'b'",
        "entity_2023-01.csv": "failed: ",
        "loans_5.csv": "being loaded since",
    }.items():
        assert states[name][1].startswith(said_of_it)
        assert name in shown
    waiting = {each["name"]: each["reason"] for each in said["waiting"]}
    assert waiting["loans_6.csv"] == "complete, waits for the service"
    assert waiting["loans_7.csv"] == "still open for writing"
    assert code == 0
    for words in ("quarantined", "still open for writing", "complete, waits for the service"):
        assert words in shown


async def test_status_reports_no_database_with_its_own_exit_code(front: Front) -> None:
    front.drop("loans.csv", GOOD)

    code, printed = await front.command(
        "status", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none"
    )

    assert code == 3
    assert "complete, waits for the service" in printed
    assert "The database cannot be reached" in printed


async def test_each_change_of_a_loads_state_is_one_line_that_names_load_feed_and_file(
    front: Front, daemon: Daemon
) -> None:
    front.drop("loans_1.csv", GOOD)
    front.drop("loans_2.csv", GOOD)
    front.drop("loans_3.csv", b"a,b\n1,secret\n")
    await front.filed(3)
    await daemon.stop()

    told = [event for event in daemon.events if event["event"] not in ("watching", "stopped")]
    assert all({"load_id", "file"} <= event.keys() for event in told)
    # The third file fits no feed.
    assert {event["file"]: event.get("pipeline") for event in told} == {
        "loans_1.csv": "loans",
        "loans_2.csv": "loans",
        "loans_3.csv": None,
    }
    assert [story_of_file(told, f"loans_{n}.csv") for n in (1, 2, 3)] == [
        [("info", "load started"), ("info", "load finished")],
        [("info", "file is a duplicate")],
        [("info", "load started"), ("error", "file quarantined")],
    ]
    [finished] = daemon.events_named("load finished")
    assert (finished["read"], finished["inserted"], finished["pipeline"]) == (10, 10, "loans")
    assert finished["seconds"] > 0
    assert [event["event"] for event in daemon.events][:: len(daemon.events) - 1] == [
        "watching",
        "stopped",
    ]
    assert not any("secret" in line or "2022-01-01" in line for line in daemon.lines)


def story_of_file(events: list[Row], file: str) -> list[tuple[str, str]]:
    return [(event["level"], event["event"]) for event in events if event["file"] == file]


async def test_the_log_file_holds_what_is_printed(front: Front, daemon: Daemon) -> None:
    front.drop("loans_1.csv", GOOD)
    await front.filed(1)
    await daemon.stop()

    written = (front.settings.logs_dir / "sluice.log").read_text().splitlines()
    assert written == daemon.lines
    assert [json.loads(line)["event"] for line in written][-1] == "stopped"


async def test_people_get_lines_they_can_read(front: Front, watch: Watch) -> None:
    daemon = await watch(LOG_JSON="false")
    front.drop("loans_1.csv", GOOD)
    await front.filed(1)
    await daemon.stop()

    [line] = [line for line in daemon.lines if "load finished" in line]
    assert re.search(r"load finished +load_id=1 pipeline=loans file=loans_1.csv read=10", line)
    assert "\x1b" not in line
