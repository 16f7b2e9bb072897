"""Two services on one folder and one database share the work."""

from __future__ import annotations

import asyncio
from datetime import datetime

from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import entity_csv, loans_csv, some_loans, some_values
from tests.acceptance.front_door import Front

FILES = 40


async def test_two_services_load_each_file_exactly_once(front: Front, watch: Watch) -> None:
    daemons = await asyncio.gather(watch(), watch())
    contents, measured = {}, {}
    for number in range(FILES // 2):
        first = datetime(2021 + number // 12, number % 12 + 1, 1)  # noqa: DTZ001 - as stored
        values = some_values(3000, seed=number, first=first)
        measured.update(values)
        contents[f"entity_{first:%Y-%m}.csv"] = entity_csv(values)
        contents[f"loans_{number}.csv"] = loans_csv(some_loans(20, seed=number))
    for name, content in contents.items():
        front.drop(name, content)

    loads = await front.filed(FILES)
    for daemon in daemons:
        await daemon.stop()

    assert sorted((load["file_name"], load["status"]) for load in await front.filed(FILES)) == [
        (name, "loaded") for name in sorted(contents)
    ]
    assert sorted(front.archived.values()) == sorted(contents.values())
    assert (front.waiting, front.quarantined) == ({}, {})
    assert await front.entity() == measured
    assert not any(event["level"] == "error" for daemon in daemons for event in daemon.events)
    # Which of the two takes a file is nobody's business; that it is one of them is.
    pids = {str(daemon.process.pid) for daemon in daemons}
    assert {load["worker"].split(":")[-1] for load in loads} <= pids


async def test_one_month_sent_ten_times_is_one_of_the_files_and_no_mixture(
    front: Front, watch: Watch
) -> None:
    await asyncio.gather(watch(), watch())
    for number in range(10):
        front.drop(f"{number}_entity_2023-01.csv", entity_csv(some_values(500, seed=number)))

    loads = await front.filed(10)

    assert {load["status"] for load in loads} == {"loaded"}
    last = max(loads, key=lambda load: load["finished_at"])
    seed = int(last["file_name"].split("_", 1)[0])
    assert await front.entity() == some_values(500, seed)
