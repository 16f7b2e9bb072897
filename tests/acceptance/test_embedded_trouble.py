"""The embedded server is killed under the service that uses it, which has it started again."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.settings import Settings
from tests.acceptance.file_contents import entity_csv, loans_csv, some_loans, some_values
from tests.acceptance.front_door import Daemon, until


@pytest.fixture
async def on_its_own(settings: Settings, tmp_path: Path) -> AsyncIterator[Daemon]:
    """A daemon without a DATABASE_URL."""
    embedded = str(tmp_path / "postgres")
    daemon = Daemon(settings, DATABASE_URL="", EMBEDDED_DIR=embedded, INIT_DB="true")
    await daemon.start()
    yield daemon
    await daemon.stop()


async def test_a_killed_server_is_started_again_and_the_files_load(
    on_its_own: Daemon, settings: Settings, tmp_path: Path
) -> None:
    (settings.imports_dir / "loans.csv").write_bytes(loans_csv(some_loans(20)))
    await on_its_own.wait_for("load finished")
    pid_file = tmp_path / "postgres/data/postmaster.pid"
    killed = int(pid_file.read_text().split()[0])
    os.kill(killed, signal.SIGKILL)
    (settings.imports_dir / "entity_2023-01.csv").write_bytes(entity_csv(some_values(10)))

    await on_its_own.wait_for("works again")

    await on_its_own.wait_for("load finished", count=2)
    assert int(pid_file.read_text().split()[0]) != killed
    assert len(on_its_own.events_named("waiting")) == 1
    assert not [event for event in on_its_own.events if event["level"] == "error"]

    async def are_archived() -> bool:
        return len(list(settings.archive_folder.glob("*/*/*/*.csv"))) == 2

    await until(are_archived, "both files archived")
