"""A kill at each named point, on every feed: the next start makes it as if it had never been.

Each walk drops a file a round, has the service killed at the next point, starts it again, and
compares all there is with an installation that nobody disturbed; and the rows with the files.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import mkdtemp

import asyncpg
import pytest

from app.settings import Settings
from tests.acceptance import forked
from tests.acceptance.crash_cases import CASES
from tests.acceptance.crash_commands import COMMANDS
from tests.acceptance.crash_walk import Side
from tests.acceptance.forked import Commands
from tests.acceptance.front_door import Front

Sides = tuple[Side, Side]


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with forked.serving() as commands:
        yield commands


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder on another file system than the test's: in memory."""
    folder = Path(mkdtemp(prefix="sluice-tests-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def databases(make_database: Callable[..., str], template: str) -> dict[str, str]:
    return {name: make_database(template) for name in ("undisturbed", "disturbed")}


@pytest.fixture
def sources(make_database: Callable[..., str]) -> dict[str, str]:
    """A production database for each of them."""
    return {name: make_database() for name in ("undisturbed", "disturbed")}


@pytest.fixture
async def sides(
    commands: Commands, databases: dict[str, str], tmp_path: Path
) -> AsyncIterator[Sides]:
    """Two installations with nothing in them."""
    async with AsyncExitStack() as stack:
        made = []
        for name, url in databases.items():
            sql = await asyncpg.connect(url)
            stack.push_async_callback(sql.close)
            made.append(Side(Front(settings_in(tmp_path / name, url), sql), commands))
        yield made[0], made[1]


def settings_in(folder: Path, url: str) -> Settings:
    for name in ("imports", "exports", "logs"):
        (folder / name).mkdir(parents=True)
    return Settings(
        database_url=url,
        imports_dir=folder / "imports",
        exports_dir=folder / "exports",
        logs_dir=folder / "logs",
        settle_seconds=0.05,
    )


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_command_that_was_killed_is_run_again_and_ends_as_if_it_had_not_been(
    name: str, sides: Sides, sources: dict[str, str]
) -> None:
    case = COMMANDS[name]
    for side in sides:
        side.options["SOURCE_DATABASE_URL"] = sources[side.folder.name]

    await case.walk.take(sides)

    for side in sides:
        await case.check(side.front, len(case.walk.points))


@pytest.mark.parametrize("name", CASES)
async def test_a_kill_at_any_point_of_a_load_is_as_if_it_had_not_been(
    name: str, sides: Sides, elsewhere: Path
) -> None:
    case = CASES[name]
    for side in sides:
        side.options |= case.options
        if "ARCHIVE_DIR" in case.options:
            side.keep_archive_in(elsewhere / side.folder.name)

    await case.walk.take(sides)

    for side in sides:
        await case.check(side.front, len(case.points))
