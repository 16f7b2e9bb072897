"""Hundreds of small files dropped at once: each has its own load, in their order, none is lost."""

from __future__ import annotations

import random
from datetime import date

from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import Loans, loans_csv, sha256, some_loans
from tests.acceptance.front_door import Front, names_of

FILES = 150
LIMIT_SECONDS = 120


def drop_all(front: Front) -> tuple[dict[str, bytes], Loans]:
    """Drops files that overwrite each other in part; gives them, and what has to become of them."""
    contents: dict[str, bytes] = {}
    expected: dict[date, tuple[int, int, int]] = {}
    for number in range(FILES):
        loans = some_loans(5 + number % 3, seed=number)
        expected |= loans
        contents[f"loans_{number:03d}.csv"] = loans_csv(loans)
    for name, content in contents.items():
        front.drop(name, content)
    return contents, expected


async def test_each_of_many_files_has_its_own_load_and_they_count_in_their_order(
    front: Front, watch: Watch
) -> None:
    contents, expected = drop_all(front)
    refused = front.drop("bad_loans.csv", b"repayment_date,loans\n2022-01-01,1\n")
    last = list(contents)[-1]
    front.drop("again_loans.csv", contents[last])

    daemon = await watch()
    loads = await front.filed(FILES + 2, LIMIT_SECONDS)
    await daemon.stop()

    assert names_of(loads) == [*contents, refused.name, "again_loans.csv"]
    assert [load["status"] for load in loads] == ["loaded"] * FILES + ["quarantined", "duplicate"]
    assert [load["sha256"] for load in loads[:FILES]] == [
        sha256(content) for content in contents.values()
    ]
    assert await front.loans() == expected
    assert sorted(front.archived.values()) == sorted([*contents.values(), contents[last]])
    assert front.waiting == {}
    assert daemon.events_named("files are loaded one by one") == []


async def test_kills_amid_many_files_lose_none_and_load_none_twice(
    front: Front, watch: Watch
) -> None:
    draw = random.Random(7)
    contents, expected = drop_all(front)
    for _ in range(4):
        daemon = await watch()
        await daemon.wait_for("load started")
        await daemon.kill(after_seconds=draw.uniform(0, 0.15))

    daemon = await watch()
    loads = await front.filed(FILES, LIMIT_SECONDS)
    await daemon.stop()

    assert {load["file_name"]: (load["sha256"], load["status"]) for load in loads} == {
        name: (sha256(content), "loaded") for name, content in contents.items()
    }
    assert await front.loans() == expected
    assert sorted(front.archived.values()) == sorted(contents.values())
    assert front.waiting == {}
    assert await front.staged_tables() == []
