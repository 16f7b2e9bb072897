"""The rules of each feed's rows, at their edges."""

# ruff: noqa: DTZ001 - instants are kept without a time zone
from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract import Checked
from app.pipelines import entity, job_titles, loans
from tests.unit.batches import TODAY, Text, checked, raw_of, reasons

LOANS = ("repayment_date", "loans", "defaults", "liquidations")


def loans_checked(*rows: Sequence[Text]) -> Checked:
    return checked(loans.PIPELINE, LOANS, rows)


def entity_checked(scope: str, *rows: Sequence[Text]) -> Checked:
    return checked(entity.PIPELINE, ("created_at", "value"), rows, scope)


def titles_checked(*rows: Sequence[Text]) -> Checked:
    related = [f"related_{n}" for n in range(1, len(rows[0]) - 1)]
    return checked(job_titles.PIPELINE, ("title", "pdl_count", *related), rows)


# Loans


def loan(day: object, *counts: object) -> list[str]:
    return [str(day), *map(str, counts)]


def test_a_good_loan_row_gets_the_files_as_of_date() -> None:
    result = loans_checked(loan("2023-05-09", 10, 4, 6))
    assert result.frame.rows(named=True) == [
        {
            "line_number": 2,
            "repayment_date": date(2023, 5, 9),
            "loans": 10,
            "defaults": 4,
            "liquidations": 6,
            "as_of": TODAY,
        }
    ]


def test_today_is_no_future_date_and_tomorrow_is() -> None:
    result = loans_checked(loan(TODAY, 1, 0, 0), loan(TODAY + timedelta(days=1), 1, 0, 0))
    assert result.frame["repayment_date"].to_list() == [TODAY]
    assert reasons(result) == [(3, "repayment_date", "'2024-05-07' is after 2024-05-06")]


@pytest.mark.parametrize("column", ["loans", "defaults", "liquidations"])
def test_no_count_may_be_negative(column: str) -> None:
    counts = {"loans": 5, "defaults": 1, "liquidations": 1} | {column: -1}
    result = loans_checked(loan("2023-05-09", *counts.values()))
    assert reasons(result) == [(2, column, "'-1' is below 0")]


huge = st.integers(0, 2**63 - 1) | st.sampled_from([0, 1, 2**62, 2**63 - 2, 2**63 - 1])


@given(st.lists(st.tuples(huge, huge, huge), min_size=1))
def test_outcomes_never_exceed_the_loans_however_large(counts: list[tuple[int, int, int]]) -> None:
    result = loans_checked(*(loan("2023-05-09", *row) for row in counts))
    good = [row for row in counts if row[1] + row[2] <= row[0]]
    bad = [line for line, row in enumerate(counts, 2) if row[1] + row[2] > row[0]]
    assert result.frame.select("loans", "defaults", "liquidations").rows() == good
    assert reasons(result) == [
        (line, None, "defaults and liquidations exceed loans") for line in bad
    ]


any_count = st.integers(-3, 12).map(str) | st.sampled_from(["", " ", "x", "1.5", "2.0", " 3"])
any_day = st.dates(date(2024, 4, 29), date(2024, 5, 12)).map(str) | st.sampled_from(
    ["", "2024-02-30", "1899-12-31", "-2024-01-01"]
)


def loan_oracle(row: tuple[str, str, str, str]) -> tuple[Any, ...] | None:
    try:
        day = date.fromisoformat(row[0])
        counts = [int(float(text)) if float(text) % 1 == 0 else None for text in row[1:]]
    except ValueError:
        return None
    if None in counts or any(count < 0 for count in counts if count is not None):
        return None
    loan_count, defaults, liquidations = (count or 0 for count in counts)
    fits = defaults + liquidations <= loan_count and date(1900, 1, 1) <= day <= TODAY
    return (day, loan_count, defaults, liquidations) if fits else None


@given(st.lists(st.tuples(any_day, any_count, any_count, any_count), min_size=1))
def test_every_row_is_loaded_or_rejected_once(rows: list[tuple[str, str, str, str]]) -> None:
    result = loans_checked(*rows)
    expected = [(line, loan_oracle(row)) for line, row in enumerate(rows, 2)]
    good = [(line, *row, TODAY) for line, row in expected if row]
    assert result.frame.rows() == good
    assert [(reject.line_number, reject.raw) for reject in result.rejects] == [
        (line, raw_of(rows[line - 2])) for line, row in expected if row is None
    ]


# Entity


@pytest.mark.parametrize(
    ("scope", "first", "last"),
    [
        ("2023-01", datetime(2023, 1, 1), datetime(2023, 1, 31, 23, 59, 59, 999_999)),
        ("2023-02", datetime(2023, 2, 1), datetime(2023, 2, 28, 23, 59, 59, 999_999)),
        ("2024-02", datetime(2024, 2, 1), datetime(2024, 2, 29, 23, 59, 59, 999_999)),
        ("2023-12", datetime(2023, 12, 1), datetime(2023, 12, 31, 23, 59, 59, 999_999)),
    ],
)
def test_a_month_begins_at_its_first_instant_and_ends_before_the_next(
    scope: str, first: datetime, last: datetime
) -> None:
    before, beyond = first - timedelta(microseconds=1), last + timedelta(microseconds=1)
    result = entity_checked(scope, *((str(at), "1") for at in (before, first, last, beyond)))
    assert result.frame["created_at"].to_list() == [first, last]
    assert reasons(result) == [
        (2, "created_at", f"'{before}' is before {first}"),
        (5, "created_at", f"'{beyond}' is not before {beyond}"),
    ]


def test_an_offset_may_lead_into_the_month_or_out_of_it() -> None:
    result = entity_checked(
        "2023-01", ("2023-02-01T00:30:00+01:00", "1"), ("2023-01-01T00:30:00+01:00", "2")
    )
    assert result.frame["created_at"].to_list() == [datetime(2023, 1, 31, 23, 30)]
    assert [reject.line_number for reject in result.rejects] == [3]


def test_ids_are_the_sources_or_else_the_rows_position_in_the_file() -> None:
    rows = [("2023-01-05", "7"), ("bad", "8"), ("2023-01-05", "9")]
    assert entity_checked("2023-01", *rows).frame["entity_id"].to_list() == [1, 3]
    named = checked(
        entity.PIPELINE,
        ("value", "entity_id", "created_at"),
        [("7", "-40", "2023-01-05"), ("8", "", "2023-01-05"), ("9", "x", "2023-01-05")],
        "2023-01",
    )
    assert named.frame.rows() == [(2, datetime(2023, 1, 5), -40, 7)]
    assert [(reject.line_number, reject.column_name) for reject in named.rejects] == [
        (3, "entity_id"),
        (4, "entity_id"),
    ]


@pytest.mark.parametrize("value", ["1.5", "", "x", "1e3", "9223372036854775808"])
def test_a_value_is_a_whole_number(value: str) -> None:
    result = entity_checked("2023-01", ("2023-01-05", value), ("2023-01-05", "-3"))
    assert result.frame["value"].to_list() == [-3]
    assert [(reject.line_number, reject.column_name) for reject in result.rejects] == [(2, "value")]


# Job titles

# White space as Unicode has it; Python counts four separators of ASCII besides.
WHITE_SPACE = re.compile(r"[^\S\x1c-\x1f]+")


def tidy(text: str) -> str:
    return WHITE_SPACE.sub(" ", text.lower()).strip(" ")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("  Owner ", "owner"),
        ("Sales\t\tManager", "sales manager"),
        ("a\u00a0b\u3000c\u2003d\u2028e", "a b c d e"),
        ("\u00a0\u3000CEO\u3000", "ceo"),
        ("line\r\nbreak", "line break"),
        ("ÄRZTIN", "ärztin"),
        ("ДИРЕКТОР", "директор"),
        ("ΔΙΕΥΘΥΝΤΉΣ", "διευθυντής"),
        ("İŞÇİ", "i̇şçi̇"),
        ("STRASSE ẞ", "strasse ß"),
        ("エンジニア", "エンジニア"),
        ("مدير", "مدير"),
        ("👩‍🔬 Chemist", "👩‍🔬 chemist"),
        ("e\u0301 É", "e\u0301 é"),
        ("zero\u200bwidth", "zero\u200bwidth"),
        ("0123", "0123"),
    ],
)
def test_titles_are_lower_cased_and_their_white_space_collapsed(text: str, title: str) -> None:
    assert titles_checked((text, "1")).frame["title"].to_list() == [title]
    assert titles_checked(("x", "1", text)).frame["related"].to_list() == [[title]]


assigned = st.characters(exclude_categories=["Cs", "Cn"])


@given(st.text(assigned) | st.text(st.sampled_from("Aσς Σ\t\u00a0\u3000\x85ǅİ")))
def test_titles_are_tidied_as_python_would(text: str) -> None:
    expected = tidy(text)
    result = titles_checked((text, "1"))
    if expected and len(expected.encode()) <= job_titles.LONGEST_TITLE_BYTES:
        assert result.frame["title"].to_list() == [expected]
    else:
        assert [reject.column_name for reject in result.rejects] == ["title"]


@pytest.mark.parametrize("title", [None, " ", "\t\u00a0\u3000"])
def test_a_title_of_blanks_alone_is_empty(title: str | None) -> None:
    result = titles_checked((title, "5"), ("x", "5"))
    assert reasons(result) == [(2, "title", "is empty, a value is needed")]
    assert result.frame["title"].to_list() == ["x"]


@pytest.mark.parametrize("letter", ["a", "é", "漢", "😀"])
def test_a_title_as_long_as_the_index_allows_is_kept_and_a_longer_one_rejected(letter: str) -> None:
    count = 2600 // len(letter.encode())
    result = titles_checked((letter * count, "5"), (letter * (count + 1), "5"))
    assert result.frame["title"].to_list() == [letter * count]
    assert reasons(result) == [(3, "title", f"'{letter * 80}…' is longer than 2600 bytes")]


def test_counts_are_whole_and_not_negative() -> None:
    result = titles_checked(("a", "0"), ("b", "-1"), ("c", "1.5"), ("d", None))
    assert result.frame["pdl_count"].to_list() == [0]
    assert reasons(result) == [
        (3, "pdl_count", "'-1' is below 0"),
        (4, "pdl_count", "'1.5' is not a whole number that fits 64 bits"),
        (5, "pdl_count", "is empty, a value is needed"),
    ]


def test_twenty_related_terms_keep_their_order_without_empty_and_repeated_ones() -> None:
    terms = [f" Term {n} " for n in range(1, 18)]
    result = titles_checked(("t", "1", *terms, "", " TERM  3", "\u00a0"))
    assert result.frame["related"].to_list() == [[f"term {n}" for n in range(1, 18)]]


def test_titles_without_related_terms_have_an_empty_list() -> None:
    assert titles_checked(("t", "1"), ("u", "2")).frame["related"].to_list() == [[], []]
    assert titles_checked(("t", "1", None, "")).frame["related"].to_list() == [[]]
