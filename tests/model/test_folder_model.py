"""Whatever people do to the folder, in whatever order, the rules hold."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from app.settings import Settings
from tests.model.machine import FolderMachine, World

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "0"))
BOUNDED_EXAMPLES = 10
STEPS = 20


@pytest.fixture
def world(database: str, tmp_path: Path) -> Iterator[World]:
    """A database that all examples use, one after the other."""
    with asyncio.Runner() as runner:
        sql, blocker = (runner.run(asyncpg.connect(database)) for _ in range(2))
        plain = Settings(database_url=database, settle_seconds=0.05)
        yield World(runner, plain, sql, blocker, tmp_path)
        for connection in (sql, blocker):
            runner.run(connection.close())


@pytest.mark.timeout(0 if EXAMPLES else 180)
def test_what_people_drop_is_loaded_as_the_rules_say(world: World) -> None:
    class Machine(FolderMachine):
        pass

    Machine.world = world
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES or BOUNDED_EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            print_blob=bool(EXAMPLES),
        ),
    )
