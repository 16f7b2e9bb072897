"""A watch that misses files, or cannot stand at all: all files of the folder load nevertheless."""

from __future__ import annotations

import os
import signal
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.acceptance.confinement import in_namespaces, is_possible
from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import Loans, loans_csv, sha256, some_loans
from tests.acceptance.front_door import Front, names_of, until

# More than the kernel has room to tell of; `make kills` does ten thousand.
FLOOD = int(os.environ.get("FLOOD_FILES", "4500"))
FLOOD_LIMIT_SECONDS = 300
# What the kernel notes of one new file: made, opened, written to, closed.
EVENTS_PER_FILE = 4
LIMITS = "/proc/sys/user"


def a_day_each() -> dict[str, tuple[bytes, Loans]]:
    """A flood of files by name, each with a day of its own."""
    last = date(2023, 1, 1)
    days = {last - timedelta(days=n): (1000 + n, n % 7, n % 3) for n in range(FLOOD)}
    return {
        f"loans_{n:05}.csv": (loans_csv({day: counts}), {day: counts})
        for n, (day, counts) in enumerate(days.items())
    }


def queued_events() -> int:
    """How many events the kernel keeps for somebody who does not read them."""
    return int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


async def filed_count(front: Front, number: int) -> bool:
    count: int = await front.sql.fetchval("SELECT count(filed_at) FROM ops.load")
    return count >= number


async def test_a_flood_of_files_that_comes_while_the_service_is_stopped_loads_once_each(
    front: Front, watch: Watch
) -> None:
    assert queued_events() < EVENTS_PER_FILE * FLOOD, "this would be no overflow"
    files = a_day_each()
    daemon = await watch(SWEEP_SECONDS="5")
    os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        for name, (content, _) in files.items():
            front.path(name).write_bytes(content)
    finally:
        os.kill(daemon.process.pid, signal.SIGCONT)

    # Counted: to read ten thousand lines again and again would take longer than the loads.
    await until(lambda: filed_count(front, FLOOD), "all are filed away", FLOOD_LIMIT_SECONDS)
    loads = await front.filed(FLOOD)
    front.drop("loans_end.csv", loans_csv(some_loans(1)))
    end = (await front.filed(FLOOD + 1))[-1]

    assert {load["file_name"]: (load["sha256"], load["status"]) for load in loads} == {
        name: (sha256(content), "loaded") for name, (content, _) in files.items()
    }
    assert (end["file_name"], end["status"]) == ("loans_end.csv", "loaded")
    expected = {day: counts for _, loans in files.values() for day, counts in loans.items()}
    assert await front.loans() == expected | some_loans(1)
    assert sorted(front.archived) == sorted(
        str(Path(load["filed_path"]).relative_to(front.settings.archive_folder))
        for load in (*loads, end)
    )
    assert front.waiting == {}


@pytest.mark.parametrize("limit", ["watches", "instances"])
async def test_at_the_limit_of_watches_sweeps_find_every_file_and_a_line_names_the_limit(
    limit: str, front: Front, watch: Watch
) -> None:
    # In a namespace of its own, so that the tests beside this one keep their watches.
    limited = in_namespaces("-Ur", first=f"echo 0 > {LIMITS}/max_inotify_{limit}")
    if not is_possible(limited):
        pytest.skip("no user namespaces here; the unit tests of the watcher fake the limit")
    front.drop("loans_1.csv", loans_csv(some_loans(5)))
    daemon = await watch(*limited, SWEEP_SECONDS="0.2")
    await front.filed(1)
    front.drop("loans_2.csv", loans_csv(some_loans(6)))
    front.drop("loans/new.csv", loans_csv(some_loans(7)))

    loads = await front.filed(3)

    assert names_of(loads) == ["loans_1.csv", "loans_2.csv", "new.csv"]
    assert [load["status"] for load in loads] == ["loaded"] * 3
    assert await front.loans() == some_loans(7)
    [line] = daemon.events_named("watch broke, sweeps go on until it is back")
    assert f"sysctl fs.inotify.max_user_{limit}=" in line["what_to_do"]
    assert "every 0.2 seconds" in line["what_to_do"]


async def test_a_feed_folder_made_at_the_limit_of_watches_is_swept(
    front: Front, watch: Watch
) -> None:
    limited = in_namespaces("-Ur", first=f"echo 1 > {LIMITS}/max_inotify_watches")
    if not is_possible(limited):
        pytest.skip("no user namespaces here; the unit tests of the watcher fake the limit")
    await watch(*limited, SWEEP_SECONDS="0.2")
    front.drop("loans/a.csv", loans_csv(some_loans(5)))
    await front.filed(1)
    front.drop("loans/b.csv", loans_csv(some_loans(6)))

    assert await front.outcomes(2) == [("a.csv", "loaded"), ("b.csv", "loaded")]
