"""A file's name, folder and header lead to one pipeline, or to a message that helps."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest

from app.domain import Column, Facts, Pipeline, Route
from app.errors import FileError
from app.pipelines import all_pipelines, entity, job_titles, loans
from app.router import lane_of, route

PIPELINES = (entity.PIPELINE, job_titles.PIPELINE, loans.PIPELINE)
NOW = datetime(2024, 5, 6, 12, tzinfo=UTC)
TODAY = NOW.astimezone().date()
LOANS = ("repayment_date", "loans", "defaults", "liquidations")
LOANS_REAL = (
    "Date of Repayment",
    "Number of Loans",
    "Default (as of 2023-05-09)",
    "Liquidation (as of 2023-05-09)",
)
ENTITY = ("created_at", "value")
TITLES = ("title", "pdl count")


def find(
    name: str,
    header: tuple[str, ...],
    folder: str | None = None,
    pipelines: tuple[Pipeline, ...] = PIPELINES,
) -> Route:
    return route(name, folder, header, NOW, pipelines)


def refusal(name: str, header: tuple[str, ...], folder: str | None = None) -> FileError:
    with pytest.raises(FileError) as caught:
        find(name, header, folder)
    return caught.value


def test_every_feed_is_found_among_the_modules() -> None:
    assert {"entity", "job_titles", "loans"} <= {pipeline.name for pipeline in all_pipelines()}


@pytest.mark.parametrize(
    ("name", "header", "feed"),
    [
        ("loans.csv", LOANS, "loans"),
        ("LOANS.CSV", LOANS, "loans"),
        ("my_Loans-2023.tsv.gz", LOANS, "loans"),
        ("entity_2023_01.csv", ENTITY, "entity"),
        ("Entity-2023-01.csv", ENTITY, "entity"),
        ("new.ENTITY.export 2023-01 (2).csv.zst", ENTITY, "entity"),
        ("entity2023_01.parquet", ENTITY, "entity"),
        ("2019_free_title_data_head.csv", TITLES, "job_titles"),
        ("TITLES.jsonl", TITLES, "job_titles"),
    ],
)
def test_names_are_matched_without_case(name: str, header: tuple[str, ...], feed: str) -> None:
    assert find(name, header).pipeline.name == feed


@pytest.mark.parametrize(
    ("name", "month"),
    [
        ("entity_2023_01.csv", "2023-01"),
        ("entity_2024-12_final.csv", "2024-12"),
        ("entity_id7_2023_01.csv", "2023-01"),
        ("entity_12023_01_2022_03.csv", "2022-03"),
    ],
)
def test_the_name_says_the_month(name: str, month: str) -> None:
    assert find(name, ENTITY).facts.scope == month


@pytest.mark.parametrize(
    "name",
    [
        *("entity.csv", "entity_2023.csv", "entity_2023_13.csv", "entity_2023_00.csv"),
        *("entity_2023_1.csv", "entity_202301.csv", "2023_01_entity.csv", "entity_0999_01.csv"),
        *("entity_12023_01.csv", "entity_2023_011.csv", "entity_٢٠٢٣_01.csv", "entity_2٠23_01.csv"),
        *("entity_9999_12.csv", "loan.csv", "tile.csv", "data.csv"),
        *("entity_2023-01-15.csv", "entity_2023_01_02.csv", "entity 2023-01 15.csv"),
        *("entity_2023-01.15.csv", "entity_2023-01-01_to_2023-02.csv", "Entity_2023-01_2.csv"),
    ],
)
def test_a_name_that_fits_no_feed_is_refused(name: str) -> None:
    error = refusal(name, ENTITY)
    assert error.found == f"the file name {name!r}"
    for wanted in ("loans: *loans*", "entity: *entity*YYYY-MM*", "job_titles: *title*"):
        assert wanted in error.expected
    assert error.remedy == "rename the file or put it into the feed's own folder, imports/<feed>/"


def test_every_month_that_routes_has_a_first_and_a_last_instant() -> None:
    for year in (1000, 1999, 2999):
        facts = find(f"entity_{year}_12.csv", ENTITY).facts
        assert facts.month_start == datetime(year, 12, 1)  # noqa: DTZ001 - as stored
        assert facts.month_end == datetime(year + 1, 1, 1)  # noqa: DTZ001 - as stored


@pytest.mark.parametrize(
    ("scope", "beyond"),
    [
        ("2023-01", (2023, 2)),
        ("2024-02", (2024, 3)),
        ("2023-02", (2023, 3)),
        ("2023-12", (2024, 1)),
    ],
)
def test_a_month_ends_where_the_next_begins(scope: str, beyond: tuple[int, int]) -> None:
    facts = Facts(scope, TODAY, TODAY)
    assert facts.month_end == datetime(*beyond, 1)  # noqa: DTZ001 - as stored


@pytest.mark.parametrize(
    ("folder", "name", "header"),
    [
        ("loans", "x.csv", LOANS),
        ("loans", "entity_2023_01.csv", LOANS),
        ("entity", "2023_01.csv", ENTITY),
        ("entity", "2023-01.csv", ENTITY),
        ("entity", "from loans 2023-01.csv", ENTITY),
        ("entity", "entity_2023_01.csv", ENTITY),
        ("job_titles", "x.csv", TITLES),
    ],
)
def test_a_feeds_own_folder_decides(folder: str, name: str, header: tuple[str, ...]) -> None:
    assert find(name, header, folder).pipeline.name == folder


def test_a_month_file_in_its_folder_still_says_its_month() -> None:
    assert find("2023_01.csv", ENTITY, "entity").facts.scope == "2023-01"
    error = refusal("january.csv", ENTITY, "entity")
    assert error.expected == (
        "a name that fits a feed (entity: *entity*YYYY-MM* or *entity*YYYY_MM*, no day)"
    )
    assert error.remedy == "rename the file"


def test_a_folder_that_is_no_feed_says_nothing() -> None:
    assert find("loans.csv", LOANS, "from_bank").pipeline.name == "loans"
    assert "'x.csv'" in refusal("x.csv", LOANS, "from_bank").found


def test_the_header_of_another_feed_is_refused_in_a_feeds_folder() -> None:
    error = refusal("loans.csv", LOANS, "job_titles")
    assert error.found == "the header 'repayment_date', 'loans', 'defaults', 'liquidations'"
    assert error.expected == "the columns of job_titles: 'title', 'pdl_count', then any others"


@pytest.mark.parametrize(
    "header",
    [
        LOANS,
        LOANS_REAL,
        ("DATE OF REPAYMENT", "number_of_loans", "DEFAULT (AS OF 2023-05-09)", "Liquidations"),
        (" date  of_repayment ", "Loans", "default_(as of_2023-05-09)", "LIQUIDATIONS\t"),
        ("Repayment Date", "LOANS", "de faults".replace(" ", ""), "liquidations"),
        ("Date\u00a0of\u00a0Repayment", "loans", "defaults", "liquidations"),
    ],
)
def test_aliases_match_in_any_case_with_any_blanks(header: tuple[str, ...]) -> None:
    assert find("loans.csv", header).names == LOANS


def test_columns_stand_in_any_order() -> None:
    assert find("loans.csv", LOANS_REAL[::-1]).names == LOANS[::-1]
    shuffled = ("value", "Entity ID", "Created At")
    assert find("entity_2023_01.csv", shuffled).names == ("value", "entity_id", "created_at")


def test_the_as_of_date_stands_in_the_header() -> None:
    facts = find("loans.csv", LOANS_REAL).facts
    assert facts == Facts(scope=None, as_of=date(2023, 5, 9), today=TODAY)


def test_without_an_as_of_date_the_day_of_arrival_stands_in() -> None:
    assert find("loans.csv", LOANS).facts == Facts(scope=None, as_of=TODAY, today=TODAY)


def test_one_as_of_date_is_enough() -> None:
    header = (*LOANS_REAL[:3], "liquidations")
    assert find("loans.csv", header).facts.as_of == date(2023, 5, 9)


def test_two_as_of_dates_are_refused() -> None:
    error = refusal("loans.csv", (*LOANS_REAL[:3], "Liquidation (as of 2023-05-10)"))
    assert error.found == "a header with two as-of dates, 2023-05-09 and 2023-05-10"
    assert (error.remedy, error.line_number) == ("correct the header", 1)


@pytest.mark.parametrize("day", ["2023-02-29", "2023-13-01", "0000-01-01", "٢٠٢٣-٠١-٠١"])
def test_an_as_of_date_outside_the_calendar_is_refused(day: str) -> None:
    error = refusal("loans.csv", ("repayment_date", "loans", f"Default (as of {day})", LOANS[3]))
    assert day in error.found
    assert error.line_number == 1


def test_a_header_that_names_the_date_otherwise_is_refused() -> None:
    header = (*LOANS[:2], "Default (as of 09.05.2023)", "liquidations")
    error = refusal("loans.csv", header)
    assert "'Default (as of 09.05.2023)'" in error.found
    assert "'Default (as of YYYY-MM-DD)' or 'defaults'" in error.expected


@pytest.mark.parametrize(
    "header",
    [
        LOANS[:3],
        (),
        ("",),
        (*LOANS, "comment"),
        (*LOANS, ""),
        (*LOANS, "loans"),
        ("Date of Repayment", *LOANS),
        ("date", "loans", "defaults", "liquidations"),
    ],
)
def test_missing_extra_and_repeated_columns_are_refused(header: tuple[str, ...]) -> None:
    error = refusal("loans.csv", header)
    assert error.found == f"the header {', '.join(map(repr, header))}"
    assert error.line_number == 1
    assert error.remedy.startswith("correct the header")


def test_an_optional_column_may_be_left_out_but_not_repeated() -> None:
    assert find("entity_2023_01.csv", ENTITY).names == ENTITY
    assert find("entity_2023_01.csv", ("entity_id", *ENTITY)).names == ("entity_id", *ENTITY)
    error = refusal("entity_2023_01.csv", ("entity_id", *ENTITY, "entity_id"))
    assert "'entity_id' (optional)" in error.expected


def test_every_further_column_of_job_titles_is_a_related_term() -> None:
    header = (*TITLES, *(f"top related titles {n}" for n in range(1, 10)), "", "x", "title", "")
    expected = ("title", "pdl_count", *(f"related_{n}" for n in range(1, 14)))
    assert find("titles.csv", header).names == expected


def test_job_titles_need_their_two_columns_first() -> None:
    assert find("titles.csv", TITLES).names == ("title", "pdl_count")
    assert find("titles.csv", ("PDL Count", "Title", "x")).names[2] == "related_1"
    for header in [("title",), ("title", "x", "pdl count"), ("", *TITLES)]:
        assert "the header" in refusal("titles.csv", header).found


def test_the_header_decides_where_the_name_fits_two_feeds() -> None:
    name = "entity_titles_and_loans_2023_01.csv"
    assert find(name, ENTITY).pipeline.name == "entity"
    assert find(name, LOANS).pipeline.name == "loans"
    assert find(name, TITLES).pipeline.name == "job_titles"
    error = refusal(name, ("a", "b"))
    for feed in ("entity: ", "loans: ", "job_titles: "):
        assert feed in error.expected


def test_a_file_that_fits_two_feeds_is_refused() -> None:
    twins = tuple(
        Pipeline(
            name=name,
            looks_like=f"*{name}*",
            file_name=re.compile(r"twin"),
            columns=(Column("a"),),
            contract=loans.contract,
        )
        for name in ("left", "right")
    )
    with pytest.raises(FileError) as caught:
        find("twin.csv", ("A",), pipelines=twins)
    assert caught.value.found == "a file that fits several feeds: left, right"
    assert caught.value.remedy == "put the file into the feed's own folder, imports/<feed>/"
    assert find("twin.csv", ("A",), folder="right", pipelines=twins).pipeline.name == "right"


def test_a_very_wide_header_is_cut_in_the_message() -> None:
    error = refusal("loans.csv", tuple(f"column {n}" for n in range(500)))
    assert "'column 29', ..." in error.found
    assert "column 30" not in error.found


def test_very_long_column_names_are_cut_in_the_message() -> None:
    error = refusal("loans.csv", ("a" * 80, "b" * 81, "c" * 1_000_000))
    assert error.found == f"the header '{'a' * 80}', '{'b' * 80}...', '{'c' * 80}...'"


def test_the_message_says_what_was_found_expected_and_to_do() -> None:
    error = refusal("loans.csv", ("a", "b"))
    assert str(error) == (
        "Found the header 'a', 'b' (line 1); expected the columns of loans: 'Date of Repayment' or"
        " 'repayment_date', 'Number of Loans' or 'loans', 'Default (as of YYYY-MM-DD)' or"
        " 'defaults', 'Liquidation (as of YYYY-MM-DD)' or 'liquidations'. To do: correct the"
        " header, or put the file into the folder of the feed it belongs to."
    )


def test_the_day_of_arrival_is_the_day_here() -> None:
    late = datetime(2024, 5, 6, 23, 59, 59, tzinfo=UTC)
    facts = route("loans.csv", None, LOANS, late, PIPELINES).facts
    assert facts.today == late.astimezone().date()


@pytest.mark.parametrize(
    ("folder", "name", "lane"),
    [
        (None, "loans.csv", "loans/"),
        ("loans", "x.csv", "loans/"),
        (None, "ENTITY-2023-01.csv", "entity/2023-01"),
        ("entity", "2023_01.csv", "entity/2023-01"),
        (None, "entity_loans_2023_01.csv", "entity/2023-01+loans/"),
        (None, "x.csv", "?/x.csv"),
        ("entity", "x.csv", "?/x.csv"),
    ],
)
def test_the_lane_names_what_an_arrival_may_change(
    folder: str | None, name: str, lane: str
) -> None:
    assert lane_of(name, folder, PIPELINES) == lane
