"""From the production table to the exports: a whole year, its corrections, and a script killed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg
import pytest

from app.settings import Settings
from app.sources.simulate import draw_rows, simulate
from tests.acceptance.command_line import PROJECT, outside_environment
from tests.acceptance.front_door import Front
from tests.acceptance.test_main_job import expected_exports, found_exports, versions

LIMIT_SECONDS = 120
ALL_THERE = "Nothing to pull: the months with rows ({}) are equal on both sides.\n"


@dataclass(frozen=True)
class Source:
    """The production database and those who change it."""

    url: str
    sql: asyncpg.Connection

    async def simulate(self, month: int, controller: int) -> None:
        settings = Settings(source_database_url=self.url, random_main_controller=controller)
        await simulate(self.url, settings, 2023, month)

    async def exports(self) -> dict[str, list[str]]:
        """The data row of every entity file that its rows call for, by the file's path."""
        return expected_exports(await months_of(self.sql))


async def months_of(sql: asyncpg.Connection) -> dict[int, list[tuple[datetime, int]]]:
    months = defaultdict(list)
    for at, value in await sql.fetch("SELECT created_at, value FROM entity"):
        months[at.month].append((at, value))
    return months


@pytest.fixture
async def source(empty_database: str) -> AsyncIterator[Source]:
    """A production database with nothing in it yet."""
    sql = await asyncpg.connect(empty_database)
    yield Source(empty_database, sql)
    await sql.close()


async def bring(front: Front, source: Source) -> str:
    """Pulls, refreshes and exports; gives what the pull printed."""
    code, pulled = await front.command("pull", "--wait", SOURCE_DATABASE_URL=source.url)
    assert code == 0, pulled
    for command in ("refresh", "export"):
        code, printed = await front.command(command)
        assert code == 0, printed
    return pulled


@pytest.mark.timeout(300)
async def test_a_year_of_production_gives_its_exports_and_each_correction_only_its_own(
    front: Front, source: Source
) -> None:
    exports = front.settings.exports_dir
    for month in range(1, 13):
        await source.simulate(month, controller=100)
    assert await source.sql.fetchval("SELECT count(*) FROM entity") > 600_000

    await bring(front, source)
    expected = await source.exports()
    assert found_exports(exports) == expected
    assert len(expected) == 1 + 12 + 365

    written = versions(exports)
    await source.simulate(3, controller=150)
    await source.sql.execute(
        """
        UPDATE entity SET value = value + 1
        WHERE entity_id = (SELECT min(entity_id) FROM entity WHERE created_at >= '2023-05-10');
        DELETE FROM entity WHERE created_at >= '2023-08-17' AND created_at < '2023-08-18';
        DELETE FROM entity WHERE created_at >= '2023-11-01' AND created_at < '2023-12-01';
        """
    )
    pulled = await bring(front, source)
    corrected = await source.exports()

    assert found_exports(exports) == corrected
    written_anew = versions(exports)
    touched = {
        path for path in written | written_anew if written.get(path) != written_anew.get(path)
    }
    assert touched == {
        path for path in expected | corrected if expected.get(path) != corrected.get(path)
    }
    assert touched >= {
        "year=2023/entity_stats_yearly_2023.csv",
        "year=2023/month=3/entity_stats_monthly_2023_3.csv",
        "year=2023/month=5/entity_stats_monthly_2023_5.csv",
        "year=2023/month=5/day=10/entity_stats_daily_2023_5_10.csv",
        "year=2023/month=8/day=17/entity_stats_daily_2023_8_17.csv",
    }
    assert not (exports / "year=2023/month=8/day=17").exists()
    assert not (exports / "year=2023/month=11").exists()
    assert [line[:7] for line in pulled.splitlines() if "rows in the source" in line] == [
        "2023-03",
        "2023-05",
        "2023-08",
        "2023-11",
    ]
    assert await bring(front, source) == ALL_THERE.format(11)
    assert versions(exports) == written_anew


# The script


@dataclass(frozen=True)
class Script:
    """insert_all_data.sh with folders of its own."""

    folder: Path
    settings: dict[str, str]

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    async def start(self, **more: str) -> asyncio.subprocess.Process:
        names = ("imports", "exports", "logs")
        folders = {f"{name.upper()}_DIR": str(self.folder / name) for name in names}
        return await asyncio.create_subprocess_exec(
            *("sh", PROJECT / "insert_all_data.sh"),
            env={
                **outside_environment(),
                "APP": f"{sys.executable} -m app",
                "PYTHONUNBUFFERED": "1",
                "RANDOM_MAIN_CONTROLLER": "1",
                **folders,
                **self.settings,
                **more,
            },
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )

    async def run(self, **more: str) -> tuple[int | None, str]:
        """Runs it to its end; gives its exit code and what it printed."""
        running = await self.start(**more)
        async with asyncio.timeout(LIMIT_SECONDS):
            printed, _ = await running.communicate()
        return running.returncode, printed.decode()

    async def kill_at(self, words: str, **more: str) -> None:
        """Runs it until it prints the words, then kills it and every command it has started."""
        running = await self.start(**more)
        assert running.stdout
        printed = ""
        async with asyncio.timeout(LIMIT_SECONDS):
            while words not in printed:
                line = await running.stdout.readline()
                assert line, printed
                printed += line.decode()
        os.killpg(running.pid, signal.SIGKILL)
        await running.communicate()
        assert running.returncode == -signal.SIGKILL


async def test_a_script_killed_at_any_point_gives_the_same_exports_when_it_runs_again(
    tmp_path: Path, database: str, source: Source
) -> None:
    settings = {"DATABASE_URL": database, "SOURCE_DATABASE_URL": source.url}
    script = Script(tmp_path, settings)

    await script.kill_at("-- 2023, month 1", MONTHS="1")
    await script.kill_at("rows simulated", MONTHS="1")
    await script.kill_at("written as", MONTHS="1")
    await script.kill_at("loaded as load", MONTHS="1")
    await script.kill_at("derived tables refreshed", MONTHS="1")
    code, printed = await script.run(MONTHS="1 2")

    assert code == 0, printed
    assert found_exports(script.exports) == await source.exports()
    assert len(await months_of(source.sql)) == 2
    written = versions(script.exports)
    code, printed = await script.run(MONTHS="2")
    assert code == 0, printed
    assert versions(script.exports) == written
    assert not list((tmp_path / "imports").glob("*.csv"))


async def test_without_an_address_the_script_uses_two_databases_of_the_embedded_server(
    tmp_path: Path,
) -> None:
    script = Script(tmp_path, {"EMBEDDED_DIR": str(tmp_path / "postgres")})

    code, printed = await script.run(YEAR="2024", MONTHS="2")

    assert code == 0, printed
    expected = expected_exports({2: list(draw_rows(2024, 2, 1))})
    assert len(expected) == 1 + 1 + 29
    assert found_exports(script.exports) == expected


async def test_the_script_stops_at_the_first_command_that_fails(
    tmp_path: Path, database: str, source: Source
) -> None:
    settings = {"DATABASE_URL": database, "SOURCE_DATABASE_URL": source.url}
    await source.sql.execute(
        "CREATE TABLE entity (entity_id bigserial, created_at timestamp, value int);"
        " INSERT INTO entity (created_at, value) VALUES ('2023-01-01', 1)"
    )

    code, printed = await Script(tmp_path, settings).run()

    assert code == 2
    assert printed.startswith("-- 2023, month 1\nError: The source's table entity has rows that")
    assert len(printed.splitlines()) == 2


async def test_without_the_environment_the_script_says_how_to_make_it(tmp_path: Path) -> None:
    alone = shutil.copy(PROJECT / "insert_all_data.sh", tmp_path)

    running = await asyncio.create_subprocess_exec(
        "sh", alone, env={"PATH": os.defpath}, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
    )
    printed, _ = await running.communicate()

    assert running.returncode == 2
    assert printed == b"Error: .venv/ is missing. Run `make setup` first.\n"
