"""`load --years`: a file of applications brought in year by year, and replayed so."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from app.settings import Settings
from tests.acceptance import command_line
from tests.acceptance.command_line import CommandLine

HEADER = (
    "Amount Requested,Application Date,Loan Title,Risk_Score,Debt-To-Income Ratio,Zip Code,State,"
    "Employment Length,Policy Code\n"
)
FILE = HEADER + "".join(
    f"{number}000.0,{year}-06-0{number},car,{600 + number}.0,10%,481xx,NM,4 years,0\n"
    for year in (2007, 2008, 2009)
    for number in (1, 2, 3)
)
QUERY = (
    "SELECT EXTRACT(YEAR FROM application_date)::int, count(*), min(load_id)"
    " FROM warehouse.risk_score GROUP BY 1 ORDER BY 1"
)


@pytest.fixture
def shell(tmp_path: Path, settings: Settings) -> CommandLine:
    """The test's own folder and migrated database."""
    return command_line.at(tmp_path, settings.database_url)


def loaded(name: str, load_id: int, rows: int, **others: int) -> str:
    counts = {"inserted": rows, "updated": 0, "unchanged": 0, **others}
    return (
        f"{name}: loaded as load {load_id}: {rows} rows read, "
        + ", ".join(f"{count} {what}" for what, count in counts.items())
        + ", 0 deleted, 0 rejected, 0 repeated\n"
    )


async def test_each_load_takes_its_years_and_no_others(
    shell: CommandLine, sql: asyncpg.Connection
) -> None:
    path = shell.write("rejected.csv", FILE)

    first = shell.run("load", path, "--years", "2007")
    later = shell.run("load", path, "--years", "2008-2009")
    again = shell.run("load", path, "--years", "2007")
    twice = shell.run("load", path)

    assert (first.code, first.out) == (0, loaded("rejected.csv", 1, 3))
    assert (later.code, later.out) == (0, loaded("rejected.csv", 2, 6))
    assert (again.code, "duplicate" in again.out) == (0, True)
    assert twice.code == 1
    assert "all years of rejected.csv, of which load 1 (rejected.csv) brought the years 2007" in (
        " ".join(twice.out.split())
    )
    assert [tuple(row) for row in await sql.fetch(QUERY)] == [
        (2007, 3, 1),
        (2008, 3, 2),
        (2009, 3, 2),
    ]


async def test_a_replay_takes_the_years_of_the_load(
    shell: CommandLine, sql: asyncpg.Connection
) -> None:
    shell.run("load", shell.write("rejected.csv", FILE), "--years", "2008")

    again = shell.run("replay", "1")

    assert (again.code, again.out) == (0, loaded("rejected.csv", 2, 3, inserted=0, unchanged=3))
    assert [tuple(row) for row in await sql.fetch(QUERY)] == [(2008, 3, 1)]


async def test_no_file_is_loaded_when_one_takes_no_years(
    shell: CommandLine, sql: asyncpg.Connection
) -> None:
    loans = shell.write("loans.csv", "repayment_date,loans,defaults,liquidations\n2023-01-01,3,1,1")

    ended = shell.run("load", shell.write("rejected.csv", FILE), loans, "--years", "2007")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "Error: --years is not for loans, whose files are loaded whole\n"
    assert await sql.fetchval("SELECT count(*) FROM ops.load") == 0
