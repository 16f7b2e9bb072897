"""Entries that are no ordinary files, and files with several names: none is followed or blocks."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import loans_csv, some_loans
from tests.acceptance.front_door import Daemon, Front, names_of

LOANS = some_loans(10)
MORE = some_loans(12)
NULL_DEVICE = os.makedev(1, 3)

REASONS = {
    "pipe_loans.csv": "not a regular file: a named pipe",
    "socket_loans.csv": "not a regular file: a socket",
    "device_loans.csv": "not a regular file: a device",
    "block_loans.csv": "not a regular file: a device",
    "link_loans.csv": "not a regular file: a symbolic link is never followed",
    "dangling_loans.csv": "not a regular file: a symbolic link is never followed",
    "loop_loans.csv": "not a regular file: a symbolic link is never followed",
    "loans": "not a regular file: a symbolic link is never followed",
    "deep_loans.csv": "not a regular file: files are read at most one folder deep",
}


def make_odd_entries(imports: Path, outside: Path) -> set[str]:
    """Makes one of each kind, and gives their names; devices only where the user may make them."""
    outside.mkdir()
    (outside / "secret_loans.csv").write_bytes(loans_csv(MORE))
    os.mkfifo(imports / "pipe_loans.csv")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(imports / "socket_loans.csv"))
    with suppress(PermissionError):
        os.mknod(imports / "device_loans.csv", stat.S_IFCHR | 0o666, NULL_DEVICE)
        os.mknod(imports / "block_loans.csv", stat.S_IFBLK | 0o666, os.makedev(7, 200))
    (imports / "link_loans.csv").symlink_to(outside / "secret_loans.csv")
    (imports / "dangling_loans.csv").symlink_to(outside / "not there.csv")
    (imports / "loop_loans.csv").symlink_to(imports / "loop_loans.csv")
    (imports / "loans").symlink_to(outside)
    (imports / "empty_loans.csv").mkdir()
    (imports / "entity_2023-01.csv" / "deep_loans.csv").mkdir(parents=True)
    (imports / "entity_2023-01.csv" / "deep_loans.csv" / "x.csv").write_bytes(b"never read\n")
    return {path.name for path in imports.iterdir()} | {"deep_loans.csv"}


@pytest.mark.parametrize("moment", ["before the start", "while it runs"])
async def test_odd_entries_stay_where_they_are_and_good_files_load(
    moment: str, front: Front, watch: Watch, tmp_path: Path
) -> None:
    imports, outside = front.settings.imports_dir, tmp_path / "outside"
    if moment == "while it runs":
        daemon = await watch()
        made = make_odd_entries(imports, outside)
    else:
        made = make_odd_entries(imports, outside)
        daemon = await watch()
    expected = {name: reason for name, reason in REASONS.items() if name in made}
    await daemon.wait_for("entry is left alone", count=len(expected))
    front.drop("good_loans.csv", loans_csv(LOANS))

    [load] = await front.filed(1)

    assert (load["file_name"], load["status"]) == ("good_loans.csv", "loaded")
    assert await front.loans() == LOANS
    left_alone = daemon.events_named("entry is left alone")
    assert {each["file"]: each["reason"] for each in left_alone} == expected
    assert len(left_alone) == len(expected)
    assert all("drop a file" in each["what_to_do"] for each in left_alone)
    assert made <= {path.name for path in imports.rglob("*")}
    assert {path.name for path in outside.iterdir()} == {"secret_loans.csv"}
    said = {each["name"]: each["reason"] for each in (await front.status())["waiting"]}
    assert {name.removeprefix("entity_2023-01.csv/"): said[name] for name in said} == expected


async def test_a_file_in_a_folder_named_like_a_file_is_refused_and_told_where_it_belongs(
    front: Front, daemon: Daemon
) -> None:
    front.drop("loans_2023.csv/part-0000.csv", loans_csv(LOANS))
    front.drop("good_loans.csv", loans_csv(MORE))

    loads = {load["file_name"]: load for load in await front.filed(2)}

    refused = loads["part-0000.csv"]
    assert (refused["status"], refused["folder"]) == ("quarantined", "loans_2023.csv")
    assert "put it into the feed's own folder, imports/<feed>/" in refused["error"]
    assert await front.loans() == MORE


async def test_load_refuses_odd_entries_and_waits_for_none(front: Front, tmp_path: Path) -> None:
    make_odd_entries(front.settings.imports_dir, tmp_path / "outside")
    paths = [str(front.path(name)) for name in ("pipe_loans.csv", "socket_loans.csv")]

    code, printed = await front.command("load", *paths)

    assert code == 1
    assert [f"{path}: not a regular file" in printed for path in paths] == [True, True]
    assert await front.ledger() == []


async def test_a_file_with_another_name_loads_and_the_other_name_keeps_its_content(
    front: Front, daemon: Daemon, tmp_path: Path
) -> None:
    original = tmp_path / "original.csv"
    original.write_bytes(loans_csv(LOANS))
    os.link(original, front.path("loans.csv"))
    [first] = await front.filed(1)
    assert original.read_bytes() == loans_csv(LOANS)
    # As a job does that writes its file anew every day.
    original.write_bytes(loans_csv(MORE))
    os.link(original, front.path("loans.csv"))

    loads = await front.filed(2)

    assert [load["status"] for load in loads] == ["loaded", "loaded"]
    assert front.filed_file(first)[0] == loans_csv(LOANS)
    assert front.filed_file(loads[1])[0] == original.read_bytes() == loans_csv(MORE)
    assert (await front.loans(), front.waiting) == (MORE, {})


@pytest.mark.parametrize("on_success", ["archive", "delete"])
async def test_two_names_of_one_file_are_a_load_and_a_duplicate(
    on_success: str, front: Front, watch: Watch
) -> None:
    unfinished = front.path(".loans.csv")
    unfinished.write_bytes(loans_csv(LOANS))
    os.link(unfinished, front.path("loans_a.csv"))
    unfinished.rename(front.path("loans_b.csv"))
    await watch(ON_SUCCESS=on_success)

    loads = await front.filed(2)

    assert sorted(names_of(loads)) == ["loans_a.csv", "loans_b.csv"]
    assert [load["status"] for load in loads] == ["loaded", "duplicate"]
    kept = [] if on_success == "delete" else [loans_csv(LOANS)] * 2
    assert (list(front.archived.values()), front.waiting) == (kept, {})
    assert await front.loans() == LOANS
