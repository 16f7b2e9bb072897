"""A batch is split into typed rows that keep every rule, and one reject for each other row."""

from __future__ import annotations

import re
from collections.abc import Sequence

import dataframely as dy
import polars as pl
import pytest

from app.contract import Checked, check
from app.domain import Batch, Column, Facts, Pipeline, Reject, Route
from app.rules import Contract
from tests.unit.batches import TODAY, Text, batch_of, checked, raw_of, reasons


class Odd(Contract):
    """Rules of all kinds."""

    name = dy.String(nullable=False, min_length=2, max_length=4)
    size = dy.Int64(nullable=False, min=1, max=9)
    share = dy.Float64(nullable=True, min_exclusive=0, max_exclusive=1)
    colour = dy.String(nullable=True, regex="^[a-z]+$")

    @dy.rule()
    def small_sizes_have_long_names(cls) -> pl.Expr:  # noqa: N805
        return (pl.col("size") > 2) | (pl.col("name").str.len_chars() > 2)


ODD = Pipeline(
    name="odd",
    looks_like="*odd*",
    file_name=re.compile("odd"),
    columns=tuple(Column(name) for name in ("name", "size", "share", "colour")),
    contract=lambda _facts: Odd,
)


def odd_checked(*rows: Sequence[Text]) -> Checked:
    return checked(ODD, ("name", "size", "share", "colour"), rows)


@pytest.mark.parametrize(
    ("row", "column_name", "reason"),
    [
        ((None, "5", "0.5", "red"), "name", "is empty, a value is needed"),
        (("abc", None, None, None), "size", "is empty, a value is needed"),
        (("abc", "  ", None, None), "size", "is empty, a value is needed"),
        (("a", "5", None, None), "name", "'a' is shorter than 2 bytes"),
        (("abcde", "5", None, None), "name", "'abcde' is longer than 4 bytes"),
        (("abc", "0", None, None), "size", "'0' is below 1"),
        (("abc", "10", None, None), "size", "'10' is above 9"),
        (("abc", "5", "0", None), "share", "'0.0' is not above 0"),
        (("abc", "5", "1", None), "share", "'1.0' is not below 1"),
        (("abc", "5", "NaN", None), "share", "'NaN' is not a number"),
        (("abc", "5", None, "Red"), "colour", "'Red' breaks the rule regex"),
        (("abc", "1.5", None, None), "size", "'1.5' is not a whole number that fits 64 bits"),
        (("ab", "2", None, None), None, "small sizes have long names"),
    ],
)
def test_each_broken_rule_is_named(
    row: Sequence[Text], column_name: str | None, reason: str
) -> None:
    good = ("abc", "5", "0.5", "red")
    result = odd_checked(good, row, good)
    assert list(result.rejects) == [Reject(3, column_name, reason, raw_of(row))]
    assert result.frame.rows() == [(2, "abc", 5, 0.5, "red"), (4, "abc", 5, 0.5, "red")]


def test_a_row_that_breaks_several_rules_is_one_reject() -> None:
    result = odd_checked(("a", "0", "7", "X"), ("abcde", "x", "y", "Z"), (None, None, None, None))
    assert reasons(result) == [
        (2, "name", "'a' is shorter than 2 bytes"),
        (3, "size", "'x' is not a whole number that fits 64 bits"),
        (4, "name", "is empty, a value is needed"),
    ]
    assert result.frame.is_empty()


def test_a_row_with_several_fields_that_cannot_be_read_is_one_reject() -> None:
    result = odd_checked(("abc", "x", "y", None))
    assert reasons(result) == [(2, "size", "'x' is not a whole number that fits 64 bits")]
    assert result.frame.is_empty()


def test_rejects_stand_in_the_order_of_the_lines_with_the_readers_own() -> None:
    names = ("name", "size", "share", "colour")
    rows = [("abc", "5", None, None), ("abc", "x", None, None), ("abc", "0", None, None)]
    broken = [Reject(1, None, "too few fields", "a"), Reject(9, None, "too many fields", "b")]
    plain = batch_of(names, rows, first_line=4)
    batch = Batch(plain.frame, broken, plain.raw_texts, 0)
    facts = Facts(None, TODAY, TODAY)
    result = check(batch, Route(ODD, facts, names), Odd)
    assert [reject.line_number for reject in result.rejects] == [1, 5, 6, 9]
    assert [reject.raw for reject in result.rejects] == ["a", "abc|x||", "abc|0||", "b"]


def test_a_batch_of_structural_rejects_alone_passes_them_on() -> None:
    names = ("name", "size", "share", "colour")
    broken = [Reject(7, None, "too few fields", "a")]
    empty = batch_of(names, [])
    batch = Batch(empty.frame, broken, empty.raw_texts, 0)
    facts = Facts(None, TODAY, TODAY)
    result = check(batch, Route(ODD, facts, names), Odd)
    assert list(result.rejects) == broken
    assert result.frame.schema == {
        "line_number": pl.Int64,
        "name": pl.String,
        "size": pl.Int64,
        "share": pl.Float64,
        "colour": pl.String,
    }


def test_a_very_long_value_is_cut_in_the_reason_and_whole_in_the_raw_text() -> None:
    long = "9" * 500
    (reject,) = odd_checked(("abc", long, None, None)).rejects
    assert reject.reason == f"'{'9' * 80}…' is not a whole number that fits 64 bits"
    assert reject.raw == f"abc|{long}||"


@pytest.mark.parametrize(
    ("row", "keeps"),
    [
        (("abc", 5, 0.5, "red"), True),
        (("abc", 5, None, None), True),  # a rule about a value that is not there is not broken
        (("ab", 3, None, None), True),
        (("ab", 2, None, None), False),
        ((None, 5, None, None), False),
        (("abc", None, None, None), False),
        (("abc", 10, None, None), False),
        (("abc", 5, 1.0, None), False),
        (("abc", 5, None, "Red"), False),
    ],
)
def test_a_row_keeps_all_rules_as_filter_sees_them(
    row: tuple[str | None, int | None, float | None, str | None], keeps: bool
) -> None:
    schema = {
        "line_number": pl.Int64,
        "name": pl.String,
        "size": pl.Int64,
        "share": pl.Float64,
        "colour": pl.String,
    }
    good = (2, "abc", 5, 0.5, "red")
    frame = pl.DataFrame([good, (3, *row), (4, *good[1:])], schema, orient="row")
    kept = frame.select(Odd.rules()).select(pl.all_horizontal(pl.all().fill_null(value=True)))
    assert kept.to_series().to_list() == [True, keeps, True]
    failed = Odd.filter(frame)[1].invalid()
    assert failed.is_empty() is keeps
