"""Files brought in together end as if each had been brought in by itself."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app import loader, together
from app.domain import Arrival, Load, LoadCounts
from app.errors import FileChangedError, RetryableError
from app.examine import Examined
from app.loader import Tools
from app.pipelines import all_pipelines
from app.settings import Settings
from app.store.scripts import Scripts, schema_names
from tests.loading import Folder

HEADER = "repayment_date,loans,defaults,liquidations\n"
FILES = 5


@pytest.fixture
def tools(settings: Settings, engine: AsyncEngine) -> Tools:
    return Tools(engine, Scripts(schema_names(settings)), settings, all_pipelines())


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def rows(number: int) -> str:
    """A day that every file has, and one of its own."""
    return f"2022-01-01,{number + 10},1,1\n2022-02-{number + 1:02d},3,1,1\n"


def drop(tools: Tools, name: str, content: str) -> Arrival:
    path = tools.settings.imports_dir / name
    path.write_text(content)
    return Arrival(path, name, None, path.stat().st_size, datetime.now(UTC))


async def look(arrivals: Sequence[Arrival], tools: Tools, stack: AsyncExitStack) -> list[Examined]:
    seen = [await loader.look_at(each, tools) for each in arrivals]
    for each in seen:
        stack.callback(each.opened.close)
    return seen


@pytest.fixture
async def seen(tools: Tools, stack: AsyncExitStack) -> list[Examined]:
    arrivals = [drop(tools, f"loans_{n}.csv", HEADER + rows(n)) for n in range(FILES)]
    return await look(arrivals, tools, stack)


async def warehouse(folder: Folder) -> dict[date, int]:
    return dict(await folder.rows("SELECT repayment_date, loans FROM warehouse.loans"))


def kept(loads: Sequence[Load]) -> list[str]:
    return [Path(str(load.filed_path)).read_text() for load in loads]


LOADED = {date(2022, 1, 1): FILES + 9} | {date(2022, 2, n + 1): 3 for n in range(FILES)}


async def test_each_file_has_its_own_load_and_they_count_in_their_order(
    seen: list[Examined], tools: Tools, folder: Folder
) -> None:
    loads = await together.load_together(seen, tools)

    assert [load.counts for load in loads] == [
        LoadCounts(read=2, inserted=2),
        *[LoadCounts(read=2, inserted=1, updated=1)] * (FILES - 1),
    ]
    recorded = await folder.rows(
        "SELECT file_name, sha256, status, attempt, filed_path FROM ops.load ORDER BY load_id"
    )
    assert recorded == [
        (
            f"loans_{number}.csv",
            hashlib.sha256((HEADER + rows(number)).encode()).hexdigest(),
            "loaded",
            1,
            load.filed_path,
        )
        for number, load in enumerate(loads)
    ]
    assert kept(loads) == [HEADER + rows(number) for number in range(FILES)]
    assert await warehouse(folder) == LOADED
    for number, load in enumerate(loads):
        await folder.check(load)
        assert await folder.touched(load) == {date(2022, 1, 1), date(2022, 2, number + 1)}
    assert not [path for path in tools.settings.imports_dir.iterdir() if path.is_file()]
    [ended] = await folder.rows("SELECT bool_and(finished_at > started_at) FROM ops.load")
    assert ended == (True,)


async def test_only_sound_files_up_to_the_first_other_one_go_together(
    seen: list[Examined], tools: Tools, stack: AsyncExitStack
) -> None:
    contents = {
        "bad_loans.csv": HEADER + rows(1) + "2022-02-30,1,1,1\n",
        "other_loans.csv": "repayment_date,loans\n2022-01-01,1\n",
        "again_loans.csv": HEADER + rows(FILES - 1),
        "titles.csv": "title,pdl count\nsmith,3\n",
    }
    others = await look([drop(tools, *each) for each in contents.items()], tools, stack)
    for other in others:
        assert together.sound_files([*seen, other, *seen]) == seen
        assert (
            other.arrival.name == "again_loans.csv"
            or other.arrival.name == "titles.csv"
            or (together.sound_files([other, *seen]) == [])
        )


async def test_a_file_written_to_meanwhile_takes_the_others_back(
    seen: list[Examined], tools: Tools, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = loader.bring_rows

    async def write_to_the_third(*given: Any) -> LoadCounts:
        if given[2] is seen[1]:
            seen[2].arrival.path.write_text(HEADER + rows(20))
        return await usual(*given)

    monkeypatch.setattr(together, "bring_rows", write_to_the_third)
    with pytest.raises(FileChangedError):
        await together.load_together(seen, tools)

    assert await warehouse(folder) == {}
    assert await folder.rows("SELECT DISTINCT status FROM ops.load") == [("running",)]


@pytest.mark.parametrize("number", [0, 3])
async def test_a_file_that_the_ledger_knows_is_left_to_its_own_load(
    number: int, seen: list[Examined], tools: Tools, folder: Folder
) -> None:
    await folder.sql.execute(
        "INSERT INTO ops.load (pipeline, file_name, file_bytes, sha256, discovered_at, started_at,"
        " status) VALUES ('loans', $1, 4, $2, now(), now(), 'running')",
        seen[number].arrival.name,
        seen[number].content.sha256,
    )
    with pytest.raises(RetryableError):
        await together.load_together(seen, tools)
    assert await folder.rows("SELECT count(*) FROM ops.load") == [(1,)]


async def test_a_first_file_that_was_the_latest_load_is_left_to_be_a_duplicate(
    seen: list[Examined], tools: Tools, folder: Folder
) -> None:
    await folder.load("before_loans.csv", HEADER + rows(0))
    with pytest.raises(RetryableError):
        await together.load_together(seen, tools)
    assert len(await together.load_together(seen[1:], tools)) == FILES - 1
