"""Folders and files that the service may not use as it needs to, and a folder that goes away."""

# ruff: noqa: ASYNC240 - permissions and folders are changed while the daemon is another process

from __future__ import annotations

import asyncio
import shutil
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import proxy
from tests.acceptance.confinement import BOUND_BY_PERMISSIONS
from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import entity_csv, loans_csv, some_loans, some_values
from tests.acceptance.front_door import Front, environment, names_of

OLD = some_loans(10)
NEW = some_loans(10, seed=1)
VALUES = some_values(5)


async def status_of_an_ordinary_user(front: Front) -> tuple[int, str]:
    """How `status` ends and what it prints, where permissions count."""
    command = (*BOUND_BY_PERMISSIONS, sys.executable, "-m", "app", "status")
    assert front.settings.database_url
    async with proxy.before(front.settings.database_url) as relay:
        settings = environment(front.settings, DATABASE_URL=relay.url)
        running = await asyncio.create_subprocess_exec(
            *command, env=settings, stdout=PIPE, stderr=STDOUT
        )
        printed, _ = await running.communicate()
    assert running.returncode is not None
    return running.returncode, printed.decode()


@pytest.fixture
def imports(front: Front) -> Iterator[Path]:
    """The folder, which can be removed again whatever a test did to its permissions."""
    path = front.settings.imports_dir
    yield path
    path.chmod(0o755)


async def test_files_that_cannot_be_moved_away_are_loaded_once_and_moved_when_they_can_be(
    front: Front, watch: Watch, imports: Path
) -> None:
    first = await watch(*BOUND_BY_PERMISSIONS)
    front.drop("loans.csv", loans_csv(OLD))
    await front.filed(1)
    front.path("loans.csv").write_bytes(loans_csv(NEW))
    shutil.rmtree(imports / ".moving")
    front.path("entity_2023-01.csv").write_bytes(entity_csv(VALUES))
    imports.chmod(0o555)
    await first.wait_for("waiting", count=2)
    await first.stop()
    second = await watch(*BOUND_BY_PERMISSIONS)
    await second.wait_for("waiting", count=2)

    assert [load["status"] for load in await front.ledger()] == ["loaded"] * 3
    assert sorted(front.waiting) == ["entity_2023-01.csv", "loans.csv"]
    imports.chmod(0o755)
    loads = await front.filed(3)

    assert [load["status"] for load in loads] == ["loaded"] * 3
    assert [load["attempt"] for load in loads] == [1] * 3
    assert (await front.loans(), await front.entity()) == (NEW, VALUES)
    assert front.waiting == {}
    for daemon in (first, second):
        for line in daemon.events_named("waiting"):
            reason = line["reason"]
            assert f"{line['file']} cannot be moved" in reason
            assert f"Permission denied: {imports}/.moving" in reason
            assert "give the service's user write access there" in reason


async def test_a_read_only_file_loads_and_stays_read_only_in_the_archive(
    front: Front, watch: Watch
) -> None:
    await watch(*BOUND_BY_PERMISSIONS)
    unfinished = front.settings.imports_dir / ".loans.csv"
    unfinished.write_bytes(loans_csv(OLD))
    unfinished.chmod(0o444)
    unfinished.rename(front.path("loans.csv"))

    [load] = await front.filed(1)

    kept = Path(load["filed_path"])
    assert (load["status"], await front.loans()) == ("loaded", OLD)
    assert (kept.read_bytes(), kept.stat().st_mode & 0o777) == (loans_csv(OLD), 0o444)


async def test_an_unreadable_file_is_reported_soon_holds_no_other_up_and_loads_when_readable(
    front: Front, watch: Watch
) -> None:
    daemon = await watch(*BOUND_BY_PERMISSIONS, SWEEP_SECONDS="0.2")
    unfinished = front.settings.imports_dir / ".loans.csv"
    unfinished.write_bytes(loans_csv(OLD))
    unfinished.chmod(0o200)
    unfinished.rename(front.path("loans.csv"))
    hidden, closed = (front.settings.imports_dir / name for name in (".entity", "entity"))
    hidden.mkdir()
    (hidden / "2023-01.csv").write_bytes(entity_csv(VALUES))
    hidden.chmod(0o300)
    hidden.rename(closed)
    await daemon.wait_for("file waits too long")
    await daemon.wait_for("entry is left alone")
    front.drop("loans_2.csv", loans_csv(NEW))
    assert names_of(await front.filed(1)) == ["loans_2.csv"]
    code, printed = await status_of_an_ordinary_user(front)
    front.path("loans.csv").chmod(0o600)
    closed.chmod(0o700)

    loads = await front.filed(3)

    assert sorted(names_of(loads)) == ["2023-01.csv", "loans.csv", "loans_2.csv"]
    assert [load["status"] for load in loads] == ["loaded"] * 3
    assert (await front.loans(), await front.entity()) == (OLD, VALUES)
    assert (code, printed.count("not readable: Permission denied")) == (0, 2)
    [file] = daemon.events_named("file waits too long")
    [folder] = daemon.events_named("entry is left alone")
    assert (file["file"], folder["file"]) == ("loans.csv", "entity")
    for line in (file, folder):
        assert line["reason"] == "not readable: Permission denied"
        assert "the service's user" in line["what_to_do"]


async def test_beside_a_closed_feed_folder_files_are_seen_at_once_all_the_same(
    front: Front, watch: Watch, imports: Path
) -> None:
    (imports / "closed").mkdir(mode=0o300)
    daemon = await watch(*BOUND_BY_PERMISSIONS, SWEEP_SECONDS="3600")
    await daemon.wait_for("watch broke, sweeps go on until it is back")
    front.drop("loans.csv", loans_csv(OLD))
    await front.filed(1)
    front.drop("loans_2.csv", loans_csv(NEW))

    assert await front.outcomes(2) == [("loans.csv", "loaded"), ("loans_2.csv", "loaded")]
    [line] = daemon.events_named("watch broke, sweeps go on until it is back")
    assert f"{imports}/closed" in line["error"]
    assert "let the service's user read that folder" in line["what_to_do"]


async def test_a_folder_that_may_not_be_listed_is_reported_once_and_used_when_it_may(
    front: Front, watch: Watch, imports: Path
) -> None:
    daemon = await watch(*BOUND_BY_PERMISSIONS, SWEEP_SECONDS="0.05")
    imports.chmod(0o000)
    await daemon.wait_for("imports folder cannot be listed")
    # Written by somebody who may: the service hears of it, and may not look.
    front.drop("loans.csv", loans_csv(OLD))
    code, printed = await status_of_an_ordinary_user(front)
    imports.chmod(0o755)
    await daemon.wait_for("imports folder can be listed again")

    [load] = await front.filed(1)

    assert (load["status"], await front.loans()) == ("loaded", OLD)
    assert (code, printed.count("cannot be listed")) == (2, 1)
    [line] = daemon.events_named("imports folder cannot be listed")
    assert str(imports) in line["error"]
    assert "a folder that the service's user may read" in line["what_to_do"]


async def test_a_folder_deleted_with_all_in_it_and_made_again_is_used_again(
    front: Front, watch: Watch, imports: Path
) -> None:
    daemon = await watch()
    front.drop("loans.csv", loans_csv(OLD))
    await front.filed(1)
    shutil.rmtree(imports)
    await daemon.wait_for("imports folder was gone, made again")
    front.drop("loans.csv", loans_csv(OLD))
    front.drop("loans_2.csv", loans_csv(NEW))

    loads = await front.filed(3)

    assert names_of(loads) == ["loans.csv", "loans.csv", "loans_2.csv"]
    assert [load["status"] for load in loads] == ["loaded", "duplicate", "loaded"]
    assert (await front.loans(), front.waiting) == (NEW, {})
    [line] = daemon.events_named("imports folder was gone, made again")
    assert (line["folder"], "drop files" in line["what_to_do"]) == (str(imports), True)


async def test_a_file_in_the_place_of_the_archive_is_said_and_the_load_stands(
    front: Front, watch: Watch, imports: Path
) -> None:
    daemon = await watch()
    (imports / ".archive").write_bytes(b"in the way")
    front.drop("loans.csv", loans_csv(OLD))
    await daemon.wait_for("waiting")
    (imports / ".archive").unlink()

    [load] = await front.filed(1)

    assert (load["status"], load["attempt"], await front.loans()) == ("loaded", 1, OLD)
    assert front.filed_file(load)[0] == loans_csv(OLD)
    [line] = daemon.events_named("waiting")
    assert f"loans.csv cannot be moved: Not a directory: {imports}/.archive/" in line["reason"]
