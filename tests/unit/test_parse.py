"""Text becomes numbers, days and instants, or is pointed out as unreadable."""

# ruff: noqa: DTZ001 - instants are read and kept without a time zone
from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import parse as parsing
from app.parse import parse_column

INT64 = range(-(2**63), 2**63)
BLANKS = " \t\u00a0\u3000\u2003"


@pytest.fixture(params=[parsing.FEW_FIELDS, 0], ids=["few", "many"], autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """A few fields are parsed one by one, more of them as a column."""
    usual, parsing.FEW_FIELDS = parsing.FEW_FIELDS, request.param
    yield
    parsing.FEW_FIELDS = usual


def parse(texts: Sequence[str | None], wanted: pl.DataType) -> tuple[list[Any], list[int]]:
    values, unreadable = parse_column(pl.Series("x", texts, dtype=pl.String), wanted)
    assert len(values) == len(texts)
    assert values.dtype == wanted
    return values.to_list(), unreadable.to_list()


def parse_one(text: str, wanted: pl.DataType) -> Any:
    """The value, None for an empty field; raises ValueError for text that cannot be read."""
    values, unreadable = parse([text], wanted)
    if unreadable:
        assert (values, unreadable) == ([None], [0])
        raise ValueError(text)
    return values[0]


def can_read(text: str, wanted: pl.DataType) -> bool:
    try:
        parse_one(text, wanted)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5),
        ("+5", 5),
        ("-5", -5),
        ("-0", 0),
        ("00012", 12),
        ("5.0", 5),
        ("5.", 5),
        ("+5.000", 5),
        (" 5 ", 5),
        ("\t5\u00a0", 5),
        ("\u30005.0\u3000", 5),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775807.0", 2**63 - 1),
    ],
)
def test_whole_numbers_are_read_however_they_are_padded(text: str, number: int) -> None:
    assert parse_one(text, pl.Int64()) == number


@pytest.mark.parametrize(
    "text",
    [
        *("1e3", "1E3", "1_000", "1,234", "1 234", "1.5", ".5", ".", "+", "-", "--5", "+-5"),
        *("0x10", "NaN", "nan", "inf", "null", "None", "N/A", "true", "five", "5%", "٥", "５"),
        *("9223372036854775808", "-9223372036854775809", "99999999999999999999.0", "5.0.0"),
    ],
)
def test_what_is_no_whole_number_of_64_bits_is_pointed_out(text: str) -> None:
    assert not can_read(text, pl.Int64())


@pytest.mark.parametrize("wanted", [pl.Int64(), pl.Float64(), pl.Date(), pl.Datetime("us")])
def test_fields_that_are_empty_or_blank_are_no_value_and_no_fault(wanted: pl.DataType) -> None:
    texts = [None, "", " ", "\t", " \u00a0\u3000 "]
    assert parse(texts, wanted) == ([None] * 5, [])


@pytest.mark.parametrize("wanted", [pl.Int64(), pl.Float64(), pl.Date(), pl.Datetime("us")])
def test_a_column_without_rows_stays_without_rows(wanted: pl.DataType) -> None:
    assert parse([], wanted) == ([], [])


def test_a_bad_field_does_not_touch_the_fields_around_it() -> None:
    texts = ["1", "x", None, " 2", "3.0", "1e3", "4"]
    assert parse(texts, pl.Int64()) == ([1, None, None, 2, 3, None, 4], [1, 5])


def test_a_bad_instant_does_not_touch_the_fields_around_it() -> None:
    texts = ["2023-01-05 10:11:12", "soon", "2023-01-05T10:11:12", None, "2023-01-06 00:00:00"]
    at = datetime(2023, 1, 5, 10, 11, 12)
    assert parse(texts, pl.Datetime("us")) == ([at, None, at, None, datetime(2023, 1, 6)], [1])


@pytest.mark.parametrize(
    ("text", "number"), [("1.5", 1.5), ("-2", -2.0), (" 2 ", 2.0), ("1e3", 1000.0), ("0.1", 0.1)]
)
def test_numbers_are_read(text: str, number: float) -> None:
    assert parse_one(text, pl.Float64()) == number


@pytest.mark.parametrize(
    "text", ["NaN", "nan", "inf", "-Infinity", "1e400", "-1e999", "1,5", "1_0", "0x1", "12%"]
)
def test_what_is_no_finite_number_is_pointed_out(text: str) -> None:
    assert not can_read(text, pl.Float64())


@pytest.mark.parametrize(
    "text",
    [
        "2023-01-05",
        " 2023-01-05 ",
        "2023-01-05 00:00:00",
        "2023-01-05T00:00:00",
        "2023-01-05 00:00",
        "2023-01-05T00:00:00.000Z",
    ],
)
def test_a_day_is_read_with_or_without_midnight(text: str) -> None:
    assert parse_one(text, pl.Date()) == date(2023, 1, 5)


@pytest.mark.parametrize(
    "text",
    [
        *("2023-02-29", "2023-13-01", "2023-00-10", "2023-01-32", "2023-01-00", "0000-01-01"),
        *("-2023-01-05", "+2023-01-05", "12023-01-05", "23-01-05", "2023-1-5", "2023/01/05"),
        *("05.01.2023", "01/05/2023", "20230105", "2023-01", "2023- 01-05", "2023-01-05x"),
        *("2023-01-05 12:00:00", "2023-01-05T23:00:00Z", "today", "44931", "٢٠٢٣-01-05"),
        *("-2023-1-05", "-202-01-05", "+2023-1-05", "2023-1- 05"),
    ],
)
def test_what_is_no_day_is_pointed_out(text: str) -> None:
    assert not can_read(text, pl.Date())


def test_a_leap_day_is_a_day() -> None:
    assert parse_one("2024-02-29", pl.Date()) == date(2024, 2, 29)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2023-01-05 10:11:12", datetime(2023, 1, 5, 10, 11, 12)),
        ("2023-01-05T10:11:12", datetime(2023, 1, 5, 10, 11, 12)),
        ("2023-01-05 10:11", datetime(2023, 1, 5, 10, 11)),
        ("2023-01-05T10:11", datetime(2023, 1, 5, 10, 11)),
        ("2023-01-05", datetime(2023, 1, 5)),
        ("2023-01-05 10", datetime(2023, 1, 5, 10)),
        ("2023-01-05T10", datetime(2023, 1, 5, 10)),
        (" 2023-01-05 10:11:12\t", datetime(2023, 1, 5, 10, 11, 12)),
        ("2023-01-05 10:11:12.5", datetime(2023, 1, 5, 10, 11, 12, 500_000)),
        ("2023-01-05T10:11:12.000001", datetime(2023, 1, 5, 10, 11, 12, 1)),
        ("2023-01-05 10:11:12.123456789", datetime(2023, 1, 5, 10, 11, 12, 123_456)),
        ("2023-01-31 23:59:59.9999999", datetime(2023, 1, 31, 23, 59, 59, 999_999)),
        ("2023-01-05T10:11:12Z", datetime(2023, 1, 5, 10, 11, 12)),
        ("2023-01-05T10:11Z", datetime(2023, 1, 5, 10, 11)),
        ("2023-01-05 10:11:12.25Z", datetime(2023, 1, 5, 10, 11, 12, 250_000)),
        ("2023-01-05T10:11:12+02:00", datetime(2023, 1, 5, 8, 11, 12)),
        ("2023-01-05 10:11:12-0530", datetime(2023, 1, 5, 15, 41, 12)),
        ("2023-01-05 10:11:12+00", datetime(2023, 1, 5, 10, 11, 12)),
        ("2023-01-05 10:11:12 +00:00", datetime(2023, 1, 5, 10, 11, 12)),
        ("2023-01-05 10:11:12 UTC", datetime(2023, 1, 5, 10, 11, 12)),
        ("2023-02-01T01:30:00+02:00", datetime(2023, 1, 31, 23, 30)),
        ("2024-02-29 00:00:00", datetime(2024, 2, 29)),
    ],
)
def test_instants_are_read_and_offsets_lead_to_utc(text: str, instant: datetime) -> None:
    assert parse_one(text, pl.Datetime("us")) == instant


@pytest.mark.parametrize(
    "text",
    [
        *("2023-02-29 00:00:00", "2023-01-05 24:00:00", "2023-01-05 10:60:00"),
        *("2023-01-31 23:59:60", "2023-01-31T23:59:60Z", "2023-01-05 10:11:61"),
        *("2023-01-0510:11:12", "2023-01-05  10:11:12", "2023-1-5 1:2:3", "23-01-05 10:11:12"),
        *("-2023-01-05 10:11:12", "+2023-01-05 10:11:12", "12023-01-05 10:11:12"),
        *("-2023-01-5 10:11:12", "0000-01-05 10:11:12", "2023-01-05 10:11:12 PM"),
        *("2023-01-05 10:11:12.", "2023-01-05 10:11:12,5", "2023-01-05 10:11:12+25:00"),
        *("2023-01-05T10:11:12+01:60", "2023-01-05Z", "05.01.2023 10:11:12", "1672913472", "now"),
        *("0001-01-01 00:00:00+01:00", "9999-12-31T23:59:59-01:00"),
    ],
)
def test_what_is_no_instant_is_pointed_out(text: str) -> None:
    assert not can_read(text, pl.Datetime("us"))


def test_years_that_python_cannot_hold_never_come_out() -> None:
    texts = ["-2023-01-5 10:11:12", "0000-01-05 10:11:12", "2023-01-05 10:11:12"]
    values, unreadable = parse(texts, pl.Datetime("us"))
    assert (values, unreadable) == ([None, None, datetime(2023, 1, 5, 10, 11, 12)], [0, 1])


numeric_text = st.text(st.sampled_from("0123456789+-. eE_,"), min_size=1, max_size=22).filter(
    lambda text: text.strip() != ""
)


@given(st.lists(numeric_text, min_size=1, max_size=30))
def test_whole_numbers_agree_with_python_for_any_text(texts: list[str]) -> None:
    expected = [
        int(text.strip().partition(".")[0])
        if re.fullmatch(r"[+-]?\d+(\.0*)?", text.strip())
        and int(text.strip().partition(".")[0]) in INT64
        else None
        for text in texts
    ]
    unreadable = [position for position, number in enumerate(expected) if number is None]
    assert parse(texts, pl.Int64()) == (expected, unreadable)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1))
def test_numbers_agree_with_python_and_are_finite(numbers: list[float]) -> None:
    expected = [number if isfinite(number) else None for number in numbers]
    unreadable = [position for position, number in enumerate(expected) if number is None]
    assert parse([repr(number) for number in numbers], pl.Float64()) == (expected, unreadable)


@given(st.lists(st.dates(min_value=date(1000, 1, 1)), min_size=1), st.text(BLANKS, max_size=3))
def test_every_day_of_the_calendar_is_read(days: list[date], blanks: str) -> None:
    texts = [f"{blanks}{day.isoformat()}" for day in days]
    assert parse(texts, pl.Date()) == (days, [])


offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59)
WRITINGS: tuple[Callable[[datetime], str], ...] = (
    lambda at: at.isoformat(),
    lambda at: at.isoformat(" "),
    lambda at: at.isoformat("T", "microseconds"),
    lambda at: f"\t{at.isoformat(' ')} ",
)


@given(
    st.lists(
        st.tuples(
            st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9998, 12, 31)),
            offsets,
            st.sampled_from(WRITINGS),
        ),
        min_size=1,
    )
)
def test_every_instant_is_read_with_and_without_an_offset(
    instants: list[tuple[datetime, int, Callable[[datetime], str]]],
) -> None:
    texts, expected = [], []
    for at, offset_minutes, write in instants:
        local = (at + timedelta(minutes=offset_minutes)).isoformat()
        sign, minutes = "-" if offset_minutes < 0 else "+", abs(offset_minutes)
        texts += [write(at), f"{local}{sign}{minutes // 60:02d}:{minutes % 60:02d}"]
        expected += [at, at]
    assert parse(texts, pl.Datetime("us")) == (expected, [])


def instant_oracle(text: str) -> datetime | None:
    """Python's own reading of the few forms that are promised, from the year 1000 on."""
    if not re.fullmatch(
        r"[1-9]\d{3}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:[0-5]\d)?)?", text
    ):
        return None
    try:
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
        return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    except (ValueError, OverflowError):
        return None


nearly_instants = st.from_regex(
    r"\A[0-9]{4}-[01][0-9]-[0-3][0-9]"
    r"([ T][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,8})?)?(Z|[+-][0-2][0-9]:[0-6][0-9])?)?\Z"
)


@given(st.lists(nearly_instants, min_size=1, max_size=20))
def test_instants_agree_with_python_near_the_edges_of_the_calendar(texts: list[str]) -> None:
    expected = [instant_oracle(text) for text in texts]
    unreadable = [position for position, at in enumerate(expected) if at is None]
    assert parse(texts, pl.Datetime("us")) == (expected, unreadable)


EXACT = pl.Decimal(18, 6)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("693.0", "693"),
        ("0", "0"),
        ("0.0", "0"),
        ("-1", "-1"),
        ("+9.43", "9.43"),
        (" 9.43\u00a0", "9.43"),
        (".5", "0.5"),
        ("5.", "5"),
        ("0.000001", "0.000001"),
        ("1.5000000000", "1.5"),
        ("000000000000000000000012", "12"),
        ("-999999999999.999999", "-999999999999.999999"),
    ],
)
def test_exact_numbers_are_read_to_the_last_digit(text: str, number: str) -> None:
    assert parse_one(text, EXACT) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    ["1e3", "0.0000001", "1234567890123", "1,000", "1 000", "10%", "nan", "inf", "-", ".", "0x1F"],
)
def test_what_is_no_exact_number_is_pointed_out(text: str) -> None:
    assert not can_read(text, EXACT)


@given(st.decimals(-(10**12) + 1, 10**12 - 1, places=6))
def test_every_exact_number_comes_out_as_it_went_in(number: Decimal) -> None:
    assert parse_one(f"{number:f}", EXACT) == number
