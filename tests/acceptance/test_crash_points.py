"""A kill at each named point, on every feed: the next start makes it as if it had never been.

Each walk drops a file a round, has the service killed at the next point, starts it again, and
compares all there is with an installation that nobody disturbed; and the rows with the files.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from itertools import chain
from pathlib import Path
from tempfile import mkdtemp

import asyncpg
import pytest

from app.crash_points import Point
from tests.acceptance import crash_streams
from tests.acceptance.crash_cases import CASES
from tests.acceptance.crash_commands import COMMANDS, be_refused, replay
from tests.acceptance.crash_walk import Side, settings_in
from tests.acceptance.file_contents import some_loans
from tests.acceptance.forked import Commands
from tests.acceptance.front_door import Front
from tests.acceptance.streams import check_ledger, check_values
from tests.brokers import Broker, Topic

Sides = tuple[Side, Side]


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


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_command_that_was_killed_is_run_again_and_ends_as_if_it_had_not_been(
    name: str, sides: Sides, sources: dict[str, str]
) -> None:
    case = COMMANDS[name]
    for side in sides:
        side.options["SOURCE_DATABASE_URL"] = sources[side.folder.name]

    await case.walk.take(sides)

    # The other side has the same.
    await case.check(sides[1].front, len(case.walk.points))


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

    # The other side has the same.
    await case.check(sides[1].front, len(case.points))


@pytest.mark.parametrize("point", [Point.COMMITTED, Point.TAKEN, Point.MOVED, Point.FILED])
async def test_a_replay_that_was_killed_in_its_load_is_done_again_and_loses_nothing(
    point: Point, side: Side
) -> None:
    await be_refused(side, 0)
    [content] = [body for name, body in side.front.quarantined.items() if name.endswith(".csv")]

    await side.crash(point, *replay(0))
    await side.serve()
    await side.run(*replay(0))

    assert await side.front.loans() == some_loans(20)
    assert set(side.front.archived.values()) == {content}
    assert side.front.quarantined == {}
    first, *others = await side.front.ledger()
    assert {load["status"] for load in others} == {"loaded"}
    assert side.front.filed_file(first)[0] == content


async def test_a_consumer_killed_at_any_point_loads_each_message_once(
    sides: Sides, broker: Broker
) -> None:
    topics = {side.folder.name: Topic(broker, partitions=1) for side in sides}
    for side in sides:
        side.options |= crash_streams.OPTIONS | {"KAFKA_BOOTSTRAP_SERVERS": broker.address}

    await crash_streams.walk_of(topics).take(sides)

    rounds = range(len(crash_streams.POINTS))
    for side in sides:
        rows = chain.from_iterable(map(crash_streams.rows_of, rounds))
        await check_values(side.sql, list(rows))
        await check_ledger(side.sql, topics[side.folder.name])


def test_every_point_there_is_is_walked() -> None:
    points = [
        *(point for case in CASES.values() for point in case.points),
        *(point for case in COMMANDS.values() for point in case.walk.points),
        *crash_streams.POINTS,
    ]

    assert {point.partition(":")[0] for point in points} == set(Point)


@pytest.mark.parametrize("feed", ["loans", "job_titles", "risk_scores", "entity"])
def test_every_point_that_a_feed_passes_is_walked_on_that_feed(feed: str) -> None:
    walks = [case.walk for name, case in CASES.items() if name.split(",")[0] == feed]

    walked = set().union(*(walk.walked for walk in walks))
    assert walked >= set().union(*(walk.passed_too for walk in walks))
