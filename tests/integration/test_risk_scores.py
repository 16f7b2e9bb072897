"""Risk scores come in by files or years of files; each file keeps its place when corrected."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app import loader, together
from app.domain import Arrival, LoadCounts, LoadStatus, Years
from app.loader import Tools
from app.pipelines import all_pipelines
from app.settings import Settings
from app.store.scripts import Scripts, schema_names
from tests.applications import (
    FIRST_DAY,
    Application,
    applications_csv,
    expected,
    rescored,
    some_applications,
)
from tests.integration.feature_values import require_all, shown
from tests.loading import Folder

PLACE = 2**32
TEXT = """Amount Requested,Application Date,Loan Title,Risk_Score,Debt-To-Income Ratio,Zip Code,\
State,Employment Length,Policy Code
1000.0,2007-05-27,"Wedding, ""covered""
but no honeymoon",693.0,10%,481xx,NM,4 years,0.0
500.25,2007-05-26,Consolidating Debt,,9.43%,010xx,MA,< 1 year,0
11000,2007-05-27,,0.0,-1%,,,,
"""
RULES = """AMOUNT_REQUESTED;Application Date;LOAN TITLE;risk score;debt_to_income;Zip Code;State;\
Employment Length;Policy Code
-5;2007-05-27;a;693.0;10%;481xx;NM;4 years;0
;2007-05-27;b;693.0;10%;481xx;NM;4 years;0
1000;2007-05-32;c;693.0;10%;481xx;NM;4 years;0
1000;;d;693.0;10%;481xx;NM;4 years;0
1000;2999-01-01;e;693.0;10%;481xx;NM;4 years;0
1000;2007-05-27;f;many;10%;481xx;NM;4 years;0
1000;2007-05-27;g;-1;10%;481xx;NM;4 years;0
1000;2007-05-27;h;693.0000001;10%;481xx;NM;4 years;0
1000;2007-05-27;i;693;10%%;481xx;NM;4 years;0
1000;2007-05-27;j;693;10%;481xx;NM;4 years;0.5
1000;2007-05-27;k;693
1e3;2007-05-27;l;693;10%;481xx;NM;4 years;0
1000;2007-05-27;m;693.50;10 %;481xx;NM;4 years;2
"""


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings.model_copy(update={"max_rejected_ratio": 1.0}), engine, sql)


def of_years(*years: int) -> list[Application]:
    """Three applications of each year, numbered on."""
    rows = some_applications(3 * len(years))
    days = [date(year, 6, 1) for year in years for _ in range(3)]
    return [Application(row.number, day, row.score) for row, day in zip(rows, days, strict=True)]


async def numbers(folder: Folder) -> list[tuple[int, int, int]]:
    """Place, rank and number of every application."""
    return await folder.rows(
        "SELECT application_id / $1, application_id % $1, amount_requested::int"
        " FROM warehouse.risk_score ORDER BY application_id",
        PLACE,
    )


@pytest.mark.parametrize("name", ["rejected_2007_to_2018Q4.csv", "Risk-Scores.csv.gz"])
async def test_every_field_arrives_as_it_was_meant(folder: Folder, name: str) -> None:
    content = TEXT.encode()
    load = await folder.load(name, gzip.compress(content) if name.endswith(".gz") else content)

    assert load.counts == LoadCounts(read=3, inserted=3)
    rows = await folder.rows("SELECT * FROM warehouse.risk_score ORDER BY application_id")
    assert [row[:5] for row in rows] == [
        (PLACE + 1, Decimal("500.25"), date(2007, 5, 26), "Consolidating Debt", None),
        (PLACE + 2, 1000, date(2007, 5, 27), 'Wedding, "covered"\nbut no honeymoon', 693),
        (PLACE + 3, 11000, date(2007, 5, 27), None, 0),
    ]
    assert [row[5:] for row in rows] == [
        (Decimal("9.43"), "010xx", "MA", "< 1 year", 0, 1),
        (10, "481xx", "NM", "4 years", 0, 1),
        (-1, None, None, None, None, 1),
    ]
    assert await folder.rows(
        "SELECT amount_requested::text, risk_score::text, ma50::text, _version"
        " FROM warehouse.risk_score_current ORDER BY application_id"
    ) == [
        ("500.25", None, None, 0),
        ("1000", "693", "693.000000", 0),
        ("11000", "0", "346.500000", 0),
    ]


async def test_a_row_that_breaks_a_rule_is_named_with_its_column(folder: Folder) -> None:
    load = await folder.load("rejected.csv", RULES)

    assert (load.counts.inserted, load.counts.rejected) == (1, 12)
    assert [(column, raw.split(";")[2]) for _, column, raw in await folder.rejects(load)] == [
        ("amount_requested", "a"),
        ("amount_requested", "b"),
        ("application_date", "c"),
        ("application_date", "d"),
        ("application_date", "e"),
        ("risk_score", "f"),
        ("risk_score", "g"),
        ("risk_score", "h"),
        ("debt_to_income", "i"),
        ("policy_code", "j"),
        (None, "k"),
        ("amount_requested", "l"),
    ]
    assert await folder.rows(
        "SELECT loan_title, risk_score::text, debt_to_income::text FROM warehouse.risk_score"
    ) == [("m", "693.5", "10")]


async def test_years_are_taken_out_of_a_file_one_after_the_other(folder: Folder) -> None:
    rows = [*of_years(2007, 2008, 2009), Application(99, FIRST_DAY, "700")]
    content = applications_csv(rows).replace(b"99.0,2007-05-26", b"99.0,26.05.2007")

    later = await folder.load("rejected.csv", content, years=Years(2008, 2009))
    first = await folder.load("rejected.csv", content, years=Years(2007, 2007))
    again = await folder.load("rejected.csv", content, years=Years(2008, 2009))

    # A day that cannot be read may be of any year.
    assert later.counts == LoadCounts(read=7, inserted=6, rejected=1)
    assert first.counts == LoadCounts(read=4, inserted=3, rejected=1)
    assert again.status is LoadStatus.DUPLICATE
    assert await folder.rows("SELECT scope, status FROM ops.load ORDER BY load_id") == [
        ("2008-2009", "loaded"),
        ("2007", "loaded"),
        ("2008-2009", "duplicate"),
    ]
    assert await numbers(folder) == [
        *[(1, rank, 3 + rank) for rank in range(1, 7)],
        *[(2, rank, rank) for rank in range(1, 4)],
    ]
    await require_all(folder.sql, [rows[3:9], rows[:3]], [0])


@pytest.mark.parametrize(
    ("loaded", "asked", "remedy"),
    [
        (Years(2007, 2008), Years(2008, 2009), "load it with --years 2007-2008 to correct those"),
        (Years(2007, 2008), None, "load it with --years 2007-2008 to correct those"),
        (None, Years(2007, 2007), "load it without --years to correct those"),
    ],
)
@pytest.mark.parametrize("name", ["rejected.csv", "rejected_copy.csv"])
async def test_no_year_of_a_file_comes_in_twice(
    folder: Folder, loaded: Years | None, asked: Years | None, remedy: str, name: str
) -> None:
    content = applications_csv(of_years(2007, 2008, 2009))
    await folder.load("rejected.csv", content, years=loaded)
    before = await numbers(folder)

    refused = await folder.load(name, content, years=asked)

    assert refused.status is LoadStatus.QUARANTINED
    assert "load 1 (rejected.csv) brought" in str(refused.error)
    assert remedy in str(refused.error)
    assert await numbers(folder) == before


async def test_a_content_that_stands_is_not_appended_again_under_any_name(folder: Folder) -> None:
    one, other = some_applications(5, seed=1), some_applications(4, seed=2)
    loads = [
        await folder.load(name, applications_csv(rows))
        for name, rows in [
            ("rejected_1.csv", one),
            ("rejected_2.csv", other),
            ("rejected_1.csv", one),
            ("rejected_3.csv", one),
        ]
    ]

    assert [load.status.value for load in loads] == ["loaded", "loaded", "duplicate", "duplicate"]
    assert "load 1" in str(loads[3].error)
    await require_all(folder.sql, [one, other], [0])


async def test_files_that_wait_together_are_loaded_one_by_one(folder: Folder) -> None:
    """Two of them may hold the same, with others between."""
    path = folder.settings.imports_dir / "rejected.csv"
    path.write_bytes(applications_csv(some_applications(5)))
    arrival = Arrival(path, path.name, None, path.stat().st_size, datetime.now(UTC))
    scripts = Scripts(schema_names(folder.settings))
    tools = Tools(folder.engine, scripts, folder.settings, all_pipelines())

    seen = await loader.look_at(arrival, tools)
    seen.opened.close()

    assert together.sound_files([seen, seen]) == []


async def test_a_correction_that_is_taken_back_is_loaded(folder: Folder) -> None:
    file = some_applications(20)
    for rows in (file, rescored(file, 3), file):
        load = await folder.load("rejected.csv", applications_csv(rows))
        assert load.status is LoadStatus.LOADED
        await require_all(folder.sql, [rows], [0])


async def test_a_corrected_file_keeps_its_place_and_moves_what_came_after(folder: Folder) -> None:
    files = [some_applications(60, seed, first) for seed, first in ((1, 100), (2, 200), (3, 300))]
    for number, rows in enumerate(files):
        await folder.load(f"rejected_{number}.csv", applications_csv(rows))

    shorter = rescored(files[1], 7)[:50]
    load = await folder.load("rejected_1.csv", applications_csv(shorter))

    assert (load.counts.inserted, load.counts.deleted, load.counts.read) == (0, 10, 50)
    assert {place for place, _, _ in await numbers(folder)} == {1, 2, 3}
    await require_all(folder.sql, [files[0], shorter, files[2]], [0])

    longer = [*shorter, *some_applications(30, seed=4, first=400, day=FIRST_DAY)]
    load = await folder.load("rejected_1.csv", applications_csv(longer))

    assert (load.counts.inserted, load.counts.deleted, load.counts.read) == (30, 0, 80)
    await require_all(folder.sql, [files[0], longer, files[2]], [0])


async def test_a_file_that_lost_all_its_rows_leaves_its_place_empty(folder: Folder) -> None:
    files = [some_applications(5, seed, first) for seed, first in ((1, 100), (2, 200))]
    for number, rows in enumerate(files):
        await folder.load(f"rejected_{number}.csv", applications_csv(rows))

    emptied = await folder.load("rejected_0.csv", applications_csv([]))
    assert emptied.counts == LoadCounts(deleted=5)
    await require_all(folder.sql, [files[1]], [0])

    await folder.load("rejected_0.csv", applications_csv(files[0]))
    await require_all(folder.sql, files, [0])
    assert {place for place, _, _ in await numbers(folder)} == {1, 2}


async def test_only_values_that_differ_are_written(folder: Folder) -> None:
    plain = [Application(number, FIRST_DAY, "700") for number in range(1, 201)]
    await folder.load("rejected_0.csv", applications_csv(plain))
    changes = "SELECT count(*) FROM warehouse.risk_score_feature WHERE modified_at > $1"
    last = "SELECT max(modified_at) FROM warehouse.risk_score_feature"
    at = await folder.sql.fetchval(last)

    titled = [Application(row.number, row.day, row.score, title="boat") for row in plain]
    load = await folder.load("rejected_0.csv", applications_csv(titled))
    assert load.counts.updated == 200
    assert await folder.sql.fetchval(changes, at) == 0

    load = await folder.load("rejected_0.csv", applications_csv(rescored(titled, 9)))
    assert load.counts == LoadCounts(read=200, updated=1, unchanged=199)
    assert await folder.sql.fetchval(changes, at) == 50


async def test_a_load_taken_up_late_stands_where_it_began(folder: Folder) -> None:
    early, late = some_applications(30, 1, 100), some_applications(30, 2, 200)
    content = applications_csv(early)
    await folder.load_unchecked("rejected_0.csv", content)
    # As after a kill in the middle of the first load, with the file still there.
    await folder.sql.execute(
        """
        TRUNCATE warehouse.risk_score, warehouse.risk_score_feature;
        UPDATE ops.load SET status = 'running', finished_at = NULL, filed_at = NULL,
            rows_read = 0, rows_inserted = 0;
        """
    )
    await folder.load("rejected_1.csv", applications_csv(late))
    await require_all(folder.sql, [late], [0])

    again = await folder.load("rejected_0.csv", content)

    assert again.load_id == 1
    await require_all(folder.sql, [early, late], [0])


async def test_rows_of_one_day_stay_in_the_order_of_their_lines(folder: Folder) -> None:
    days = [FIRST_DAY + timedelta(days=day) for day in (3, 1, 2, 1, 3, 1)]
    rows = [Application(number, day, "700") for number, day in enumerate(days)]

    await folder.load("rejected.csv", applications_csv(rows))

    assert [number for _, _, number in await numbers(folder)] == [1, 3, 5, 2, 0, 4]
    assert await shown(folder.sql, 0) == expected(0, [rows])
