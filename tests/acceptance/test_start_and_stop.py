"""The service starts as soon as it can, says what keeps it from starting, and stops when told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.settings import Settings
from app.store import embedded
from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import loans_csv, some_loans
from tests.acceptance.front_door import Daemon, Front

CONTENT = loans_csv(some_loans(20))


@pytest.fixture
async def starting(settings: Settings) -> AsyncIterator[Daemon]:
    """A daemon that is not waited for."""
    daemon = Daemon(settings)
    yield daemon
    await daemon.stop()


async def test_a_service_that_cannot_look_at_the_ledger_yet_says_so_and_stops_when_told(
    front: Front, starting: Daemon
) -> None:
    async with front.sql.transaction():
        await front.sql.execute("LOCK TABLE ops.load")
        await starting.start(until="waiting")

        await starting.stop()

    assert "lock" in starting.events_named("waiting")[0]["reason"]
    assert not starting.events_named("watching")


async def test_an_imports_folder_that_is_no_folder_is_waited_for(
    front: Front, starting: Daemon
) -> None:
    imports = front.settings.imports_dir
    imports.rmdir()
    imports.write_text("not a folder")
    await starting.start(until="waiting")
    imports.unlink()
    front.drop("loans.csv", CONTENT)

    assert await front.outcomes(1) == [("loans.csv", "loaded")]
    assert "imports" in starting.events_named("waiting")[0]["reason"]


async def test_an_imports_folder_that_is_exchanged_is_watched_again(
    front: Front, watch: Watch
) -> None:
    await watch(SWEEP_SECONDS="0.2")
    front.drop("loans_1.csv", CONTENT)
    await front.filed(1)
    front.settings.imports_dir.rename(front.settings.imports_dir.with_name("away"))
    front.drop("loans_2.csv", CONTENT)

    assert await front.outcomes(2) == [("loans_1.csv", "loaded"), ("loans_2.csv", "duplicate")]


async def test_a_server_that_stops_and_starts_again_is_waited_for(
    front: Front, tmp_path: Path
) -> None:
    with embedded.start(tmp_path / "postgres") as server:
        settings = front.settings.model_copy(update={"database_url": server.url})
        daemon = Daemon(settings, INIT_DB="true")
        await daemon.start()
        front.drop("loans.csv", CONTENT)
        await daemon.wait_for("load finished")
    front.drop("loans.csv", loans_csv(some_loans(30)))
    await daemon.wait_for("waiting")
    assert list(front.waiting) == ["loans.csv"]

    with embedded.start(tmp_path / "postgres"):
        await daemon.wait_for("load finished", count=2)
        await daemon.stop()

    assert front.waiting == {}
    assert [event["inserted"] for event in daemon.events_named("load finished")] == [20, 10]
    assert len(daemon.events_named("works again")) == 1
