"""A disk that is full where files are kept: what is loaded stays loaded, and is moved later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.confinement import Before, in_namespaces, is_possible
from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import entity_csv, gzipped, loans_csv, some_loans, some_values
from tests.acceptance.front_door import Daemon, Front

DISK_BYTES = 256 << 10
LOANS = some_loans(600)
VALUES = some_values(10)
DAMAGED = gzipped(loans_csv(some_loans(4000)))[:-2000]


def on_a_small_disk(folder: Path) -> Before:
    """Runs the daemon with a small disk of its own at the folder, filled to the last byte."""
    folder.mkdir()
    before = in_namespaces(
        "-Urm",
        first=f"mount -t tmpfs -o size={DISK_BYTES} none '{folder}'\n"
        f"head -c {DISK_BYTES} /dev/zero > '{folder}/ballast' || true",
    )
    if not is_possible(before):
        pytest.skip("no mount namespaces here; unit tests of archive and filing fake a full disk")
    return before


def as_seen_by(daemon: Daemon, folder: Path) -> Path:
    """The folder with what is mounted on it for the daemon."""
    return Path(f"/proc/{daemon.process.pid}/root{folder}")


async def test_files_load_while_the_archives_disk_is_full_and_are_moved_when_it_is_not(
    front: Front, watch: Watch, tmp_path: Path
) -> None:
    archive = tmp_path / "small disk"
    daemon = await watch(*on_a_small_disk(archive), ARCHIVE_DIR=str(archive))
    front.drop("loans.csv", loans_csv(LOANS))
    await daemon.wait_for("waiting")
    front.drop("entity_2023-01.csv", entity_csv(VALUES))
    await daemon.wait_for("waiting", count=2)

    assert [load["status"] for load in await front.ledger()] == ["loaded", "loaded"]
    assert (await front.loans(), await front.entity()) == (LOANS, VALUES)
    assert sorted(front.waiting) == ["entity_2023-01.csv", "loans.csv"]
    small_disk = as_seen_by(daemon, archive)
    assert sorted(path.name for path in small_disk.rglob("*") if path.is_file()) == ["ballast"]
    (small_disk / "ballast").unlink()
    loads = await front.filed(2)
    front.drop("loans_2.csv", loans_csv(some_loans(3)))
    loads = await front.filed(3)

    assert [(load["status"], load["attempt"]) for load in loads] == [("loaded", 1)] * 3
    contents = [loans_csv(LOANS), entity_csv(VALUES), loans_csv(some_loans(3))]
    kept = [as_seen_by(daemon, Path(load["filed_path"])).read_bytes() for load in loads]
    assert (kept, front.waiting) == (contents, {})
    waits = daemon.events_named("waiting")
    assert [each["file"] for each in waits] == ["loans.csv", "entity_2023-01.csv"]
    assert daemon.events_named("file changed while it was looked at") == []
    for line in waits:
        assert line["reason"].startswith(
            f"{line['file']} cannot be moved: No space left on device: {archive}"
        )
        assert "make room on that disk" in line["reason"]


async def test_a_refused_file_stays_where_it_is_until_the_quarantine_has_room(
    front: Front, watch: Watch
) -> None:
    quarantine = front.settings.quarantine_folder
    daemon = await watch(*on_a_small_disk(quarantine))
    front.drop("loans.csv.gz", DAMAGED)
    await daemon.wait_for("waiting")
    front.drop("loans_2.csv", loans_csv(LOANS))
    # The archive has room.
    await daemon.wait_for("load finished")

    assert front.waiting == {"loans.csv.gz": DAMAGED}
    (as_seen_by(daemon, quarantine) / "ballast").unlink()
    refused, good = await front.filed(2)

    assert [load["status"] for load in (refused, good)] == ["quarantined", "loaded"]
    assert (await front.loans(), front.waiting) == (LOANS, {})
    name = f"{refused['load_id']}_loans.csv.gz"
    kept = {path.name: path.read_bytes() for path in as_seen_by(daemon, quarantine).iterdir()}
    assert set(kept) == {name, f"{name}.error.json"}
    assert kept[name] == DAMAGED
    assert json.loads(kept[f"{name}.error.json"])["reason"] == refused["error"]
    [line] = daemon.events_named("waiting")
    assert f"No space left on device: {quarantine}" in line["reason"]
