"""Small files are looked at before their turn comes, and loaded as if they were not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app import ahead, loader
from app.ahead import LookAhead
from app.domain import Arrival, LoadCounts, LoadStatus
from app.errors import FileChangedError
from app.loader import Tools
from app.pipelines import all_pipelines
from app.settings import Settings
from app.small_files import SMALL_FILE_BYTES
from app.store.scripts import Scripts, schema_names

CONTENT = "repayment_date,loans,defaults,liquidations\n2022-01-01,3,1,1\n"


@pytest.fixture
def tools(settings: Settings, engine: AsyncEngine) -> Tools:
    return Tools(engine, Scripts(schema_names(settings)), settings, all_pipelines())


@pytest.fixture
async def looking(tools: Tools) -> AsyncIterator[LookAhead]:
    looking = LookAhead(tools)
    yield looking
    await looking.close()


def drop(settings: Settings, name: str, content: str = CONTENT) -> Arrival:
    path = settings.imports_dir / name
    path.write_text(content)
    return Arrival(path, name, None, path.stat().st_size, datetime.now(UTC))


def open_files(folder: Path) -> list[Path]:
    opened = [each.resolve() for each in Path("/proc/self/fd").iterdir()]
    return [path for path in opened if path.parent == folder.resolve()]


async def test_a_file_looked_at_before_its_turn_is_loaded(
    looking: LookAhead, tools: Tools, sql: asyncpg.Connection
) -> None:
    arrival = drop(tools.settings, "loans.csv")
    looking.begin([arrival])
    looking.begin([arrival])

    examined = await looking.take(arrival)
    assert examined
    load = await loader.load_examined(examined, tools)

    assert (load.status, load.counts) == (LoadStatus.LOADED, LoadCounts(read=1, inserted=1))
    assert examined.opened.closed
    assert await looking.take(arrival) is None
    assert not arrival.path.exists()


@pytest.mark.parametrize("change", ["rewritten", "replaced", "removed"])
async def test_a_file_that_changes_before_its_turn_is_not_loaded(
    change: str, looking: LookAhead, tools: Tools, sql: asyncpg.Connection
) -> None:
    arrival = drop(tools.settings, "loans.csv")
    looking.begin([arrival])
    examined = await looking.take(arrival)
    assert examined
    if change == "rewritten":
        arrival.path.write_text(CONTENT + "2022-01-02,3,1,1\n")
    else:
        arrival.path.unlink()
    if change == "replaced":
        arrival.path.write_text(CONTENT)

    with pytest.raises(FileChangedError, match="was taken away or replaced"):
        await loader.load_examined(examined, tools)

    assert examined.opened.closed
    assert await sql.fetchval("SELECT count(*) FROM ops.load") == 0


async def test_what_goes_wrong_with_a_look_shows_when_the_turn_comes(
    looking: LookAhead, tools: Tools
) -> None:
    arrival = drop(tools.settings, "loans.csv")
    arrival.path.unlink()
    looking.begin([arrival])
    with pytest.raises(FileChangedError, match="is gone"):
        await looking.take(arrival)


async def test_files_are_seen_up_to_the_first_that_cannot_be(
    looking: LookAhead, tools: Tools
) -> None:
    arrivals = [drop(tools.settings, f"loans_{number}.csv") for number in range(4)]
    arrivals[2].path.unlink()
    looking.begin(arrivals)

    assert [each.arrival for each in await looking.see_all(arrivals)] == arrivals[:2]
    assert [each.arrival for each in await looking.see_all(arrivals[3:])] == arrivals[3:]
    await looking.let_go(arrivals[:2])
    assert await looking.see_all(arrivals) == []
    assert len(open_files(tools.settings.imports_dir)) == 1


async def test_large_files_and_too_many_are_not_looked_at(
    looking: LookAhead, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "MOST_FILES", 1)
    large = drop(tools.settings, "loans.csv", CONTENT + "\n" * SMALL_FILE_BYTES)
    first, second = (drop(tools.settings, f"loans_{n}.csv") for n in range(2))
    for arrival in (large, first, second):
        looking.begin([arrival])

    assert await looking.take(large) is None
    assert await looking.take(second) is None
    examined = await looking.take(first)
    assert examined
    examined.opened.close()


async def test_files_whose_turn_does_not_come_are_closed(looking: LookAhead, tools: Tools) -> None:
    looking.begin([drop(tools.settings, f"loans_{number}.csv") for number in range(5)])

    await looking.close()

    assert open_files(tools.settings.imports_dir) == []
