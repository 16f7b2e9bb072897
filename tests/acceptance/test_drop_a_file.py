"""Drop a file, and it is loaded, recorded and archived: the ways files arrive."""

from __future__ import annotations

import asyncio
import re
import socket
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import pytest

from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import (
    entity_csv,
    gzipped,
    loans_csv,
    sha256,
    some_loans,
    some_values,
    titles_csv,
)
from tests.acceptance.front_door import LONG_AGO, Daemon, Front, counts_of, names_of, until

LOANS = some_loans(30)
CONTENT = loans_csv(LOANS)


async def test_a_dropped_file_is_loaded_archived_and_recorded_in_full(
    front: Front, daemon: Daemon
) -> None:
    began = datetime.now(UTC)
    front.drop("loans.csv", CONTENT)

    [load] = await front.filed(1)

    instants = [load[f"{name}_at"] for name in ("discovered", "started", "finished", "filed")]
    now = datetime.now(UTC)
    assert [began, *instants, now] == sorted([began, *instants, now])
    archived = f"{instants[-1]:%Y/%m/%d}/{load['load_id']}_loans.csv"
    expected = {
        "load_id": load["load_id"],
        "pipeline": "loans",
        "scope": None,
        "file_name": "loans.csv",
        "file_bytes": len(CONTENT),
        "sha256": sha256(CONTENT),
        "status": "loaded",
        "rows_read": 30,
        "rows_inserted": 30,
        "error": None,
        "fault": None,
        "folder": None,
        "worker": f"{socket.gethostname()}:{daemon.process.pid}",
        "attempt": 1,
        "filed_path": str(front.settings.archive_folder / archived),
    }
    others = ("updated", "unchanged", "deleted", "rejected", "duplicate")
    expected |= {f"rows_{name}": 0 for name in others}
    assert {name: load[name] for name in load if not name.endswith("_at")} == expected
    assert await front.loans() == LOANS
    assert front.archived == {archived: CONTENT}
    assert front.waiting == {}
    assert await front.staged_tables() == []


async def test_files_that_are_there_already_are_loaded_at_the_start(
    front: Front, watch: Watch
) -> None:
    front.drop("loans.csv", CONTENT)
    front.drop("entity_2023-01.csv", entity_csv(some_values(10)))

    await watch()

    assert sorted(await front.outcomes(2)) == [
        ("entity_2023-01.csv", "loaded"),
        ("loans.csv", "loaded"),
    ]
    assert await front.entity() == some_values(10)


async def test_a_feed_folder_says_what_the_file_is_and_may_be_made_later(
    front: Front, daemon: Daemon
) -> None:
    front.drop("Loans/may.csv", CONTENT)

    [load] = await front.filed(1)

    assert (load["file_name"], load["pipeline"], load["status"]) == ("may.csv", "loans", "loaded")
    assert front.waiting == {}


async def test_unfinished_and_hidden_names_are_left_alone_until_they_are_renamed(
    front: Front, daemon: Daemon
) -> None:
    hidden = [".loans_1.csv", "loans_2.csv.part", "loans_3.csv.tmp", "loans_4.csv~"]
    for number, name in enumerate(hidden):
        front.path(name).write_bytes(loans_csv(some_loans(3, seed=number)))
    front.drop("loans_5.csv", CONTENT)
    assert await front.outcomes(1) == [("loans_5.csv", "loaded")]

    front.path("loans_2.csv.part").rename(front.path("loans_2.csv"))

    assert names_of(await front.filed(2)) == ["loans_5.csv", "loans_2.csv"]
    left = {path.name for path in front.settings.imports_dir.iterdir() if path.is_file()}
    assert left == {".loans_1.csv", "loans_3.csv.tmp", "loans_4.csv~"}


async def test_a_file_with_an_old_date_is_loaded_like_any_other(
    front: Front, daemon: Daemon
) -> None:
    front.copy_like_docker("loans.csv", CONTENT)

    [load] = await front.filed(1)

    assert load["status"] == "loaded"
    assert front.filed_file(load) == (CONTENT, LONG_AGO)
    assert await front.loans() == LOANS


async def test_fifty_files_at_once_are_all_loaded_in_the_order_they_came_per_feed(
    front: Front, daemon: Daemon
) -> None:
    feeds: dict[str, list[str]] = {"loans": [], "entity": [], "job_titles": []}
    for number in range(50):
        feed = list(feeds)[number % 3]
        # Named against the order they come in.
        name = f"{90 - number}_{feed.replace('_', ' ')}{'_2023-01' * (feed == 'entity')}.csv"
        content = {
            "loans": loans_csv(some_loans(20, seed=number)),
            "entity": entity_csv(some_values(20, seed=number)),
            "job_titles": titles_csv({f"title {n}": n + number for n in range(20)}),
        }[feed]
        front.drop(name, content)
        feeds[feed].append(name)

    loads = await front.filed(50)

    assert {load["status"] for load in loads} == {"loaded"}
    for feed, names in feeds.items():
        assert names_of(load for load in loads if load["pipeline"] == feed) == names
    assert await front.loans() == some_loans(20, seed=48)
    assert await front.entity() == some_values(20, seed=49)
    titles = await front.rows("SELECT title, pdl_count FROM warehouse.job_title")
    assert dict(titles) == {f"title {n}": n + 47 for n in range(20)}


async def test_a_loaded_file_is_deleted_where_the_settings_say_so(
    front: Front, watch: Watch
) -> None:
    await watch(ON_SUCCESS="delete")
    front.drop("loans.csv", CONTENT)
    front.drop("entity_2023-13.csv", entity_csv(some_values(10)))

    loads = {load["file_name"]: load for load in await front.filed(2)}

    assert (loads["loans.csv"]["status"], loads["loans.csv"]["filed_path"]) == ("loaded", None)
    assert loads["entity_2023-13.csv"]["status"] == "quarantined"
    assert (front.waiting, front.archived) == ({}, {})
    assert any(name.endswith("_entity_2023-13.csv") for name in front.quarantined)


async def test_a_folder_without_events_is_watched_by_polling(front: Front, watch: Watch) -> None:
    await watch(FORCE_POLLING="true", SWEEP_SECONDS="600")
    front.drop("loans.csv", CONTENT)

    assert await front.outcomes(1) == [("loans.csv", "loaded")]


# Still being written


async def write_in_parts(file: BinaryIO, content: bytes, seconds: float) -> None:
    """Writes in ten parts, over that time, with everything so far in the file each time."""
    size = -(-len(content) // 10)
    for start in range(0, len(content), size):
        file.write(content[start : start + size])
        file.flush()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), seconds / 10)


async def test_a_file_that_is_written_for_a_while_is_loaded_once_and_whole(
    front: Front, daemon: Daemon
) -> None:
    with front.path("loans.csv").open("wb") as file:
        await write_in_parts(file, CONTENT, seconds=1)
        assert await front.ledger() == []
        waiting = (await front.status())["waiting"]
        assert [(each["name"], each["reason"]) for each in waiting] == [
            ("loans.csv", "still open for writing")
        ]

    [load] = await front.filed(1)

    assert (load["status"], load["rows_read"]) == ("loaded", 30)
    assert await front.loans() == LOANS


async def test_a_file_appended_to_in_several_opens_ends_whole(front: Front, daemon: Daemon) -> None:
    lines = CONTENT.splitlines(keepends=True)
    for start in range(0, len(lines), 5):
        with front.path("loans.csv").open("ab") as file:
            file.writelines(lines[start : start + 5])
            file.flush()

    async def has_it_all() -> bool:
        return await front.loans() == LOANS and front.waiting == {}

    await until(has_it_all, "all rows loaded, nothing waiting")
    loads = await front.ledger()
    # Each part that was complete for a moment may be a load of its own; none is half a line.
    assert {load["rows_rejected"] for load in loads} == {0}
    assert {load["status"] for load in loads} <= {"loaded", "failed"}


# The same content, older content, corrected content


async def test_the_same_bytes_under_another_name_are_a_duplicate(
    front: Front, daemon: Daemon
) -> None:
    front.drop("loans.csv", CONTENT)
    [first] = await front.filed(1)
    front.drop("loans again.csv", CONTENT)

    _, second = await front.filed(2)

    assert second["status"] == "duplicate"
    assert second["error"] == (
        f"The same content as load {first['load_id']}, the latest one; nothing to load."
    )
    assert counts_of(second) == {}
    assert front.filed_file(second)[0] == CONTENT
    assert await front.rows("SELECT DISTINCT load_id FROM warehouse.loans") == [(first["load_id"],)]
    assert front.waiting == {}


async def test_older_content_dropped_again_is_a_new_load(front: Front, daemon: Daemon) -> None:
    older, newer = some_values(20, seed=1), some_values(15, seed=2)
    for number, values in enumerate((older, newer, older), start=1):
        front.drop("entity_2023-01.csv", entity_csv(values))
        loads = await front.filed(number)
        assert await front.entity() == values

    assert [load["status"] for load in loads] == ["loaded"] * 3
    assert len(front.archived) == 3


async def test_a_corrected_file_changes_only_what_it_corrects(front: Front, daemon: Daemon) -> None:
    corrected = {**LOANS, max(LOANS) + timedelta(days=1): (5, 1, 1), min(LOANS): (9, 2, 3)}
    front.drop("loans.csv", CONTENT)
    await front.filed(1)
    front.drop("loans.csv", loans_csv(corrected))

    _, load = await front.filed(2)

    assert counts_of(load) == {"read": 31, "inserted": 1, "updated": 1, "unchanged": 29}
    assert await front.loans() == corrected


async def test_a_compressed_file_is_loaded_and_archived_as_it_came(
    front: Front, daemon: Daemon
) -> None:
    front.drop("loans.csv.gz", gzipped(CONTENT))

    [load] = await front.filed(1)

    assert re.search(r"/\d+_loans\.csv\.gz\Z", load["filed_path"])
    assert front.filed_file(load)[0] == gzipped(CONTENT)
    assert await front.loans() == LOANS
