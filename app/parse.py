"""Parses columns of text into the types a contract asks for, whole columns at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from app.parse_few import READERS, parse_few
from app.patterns import (
    BARE_HOUR,
    EXACT_DAY,
    EXACT_INSTANT,
    MIDNIGHT,
    ODD_INSTANT,
    WHOLE_NUMBER,
)

DAY_FORMAT = "%Y-%m-%d"
INSTANT_FORMAT = "%Y-%m-%d %H:%M:%S"
# Polars alone would cut off decimals beyond these.
EXACT_NUMBER = r"^[+-]?(?:0*[0-9]{1,12}(?:\.[0-9]{0,6}0*)?|\.[0-9]{1,6}0*)$"
EXACT = pl.Decimal(18, 6)
FEW_FIELDS = 100
BEYOND_YEAR = 10_000  # an offset can lead there, and Python has no such year
WANTED = {
    pl.Int64: "a whole number that fits 64 bits",
    pl.Float64: "a number",
    pl.Decimal: "a number of at most 12 digits and 6 decimals",
    pl.Date: "a date as YYYY-MM-DD",
    pl.Datetime: "a date and time as YYYY-MM-DD HH:MM:SS",
}
TEXT = pl.col("text")


def _where(text: pl.Expr, pattern: str, parsed: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(pattern)).then(parsed)


def _day(text: pl.Expr) -> pl.Expr:
    return _where(text, EXACT_DAY, text.str.to_date(DAY_FORMAT, strict=False))


def _instant(text: pl.Expr) -> pl.Expr:
    instant = text.str.to_datetime(INSTANT_FORMAT, time_unit="us", strict=False)
    return _where(text, EXACT_INSTANT, instant)


def _odd_instant(part: Callable[[str], pl.Expr]) -> pl.Expr:
    """Reads any fraction, minutes or hours alone, a day alone, and offsets, which lead to UTC."""
    local = pl.concat_str(
        part("day"),
        pl.lit(" "),
        part("minutes").fill_null("00:00"),
        part("seconds").fill_null(":00"),
        part("fraction").fill_null(""),
    ).str.to_datetime(INSTANT_FORMAT + "%.f", time_unit="us", strict=False)
    offset = pl.duration(
        hours=part("zone_hours").cast(pl.Int64).fill_null(0),
        minutes=part("zone_minutes").cast(pl.Int64).fill_null(0),
    )
    instant = pl.when(part("sign") == "-").then(local + offset).otherwise(local - offset)
    return pl.when(instant.dt.year() < BEYOND_YEAR).then(instant)


def _odd_whole_number(text: pl.Expr) -> pl.Expr:
    whole = text.str.replace(r"\.0*$", "").cast(pl.Int64, strict=False)
    return _where(text, WHOLE_NUMBER, whole)


def _number(text: pl.Expr) -> pl.Expr:
    number = text.cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def _exact_number(text: pl.Expr) -> pl.Expr:
    return _where(text, EXACT_NUMBER, text.cast(EXACT, strict=False))


# For each type: the quick way, right for files written by programs, and the patient way for
# the few fields the quick one cannot read (blanks around, fractions, zones, `5.0`). A way may have
# steps, each over what the one before it gave.
QUICK: dict[type[pl.DataType], Sequence[pl.Expr]] = {
    pl.Int64: [TEXT.cast(pl.Int64, strict=False)],
    pl.Float64: [_number(TEXT)],
    pl.Decimal: [_exact_number(TEXT)],
    pl.Date: [_day(TEXT)],
    pl.Datetime: [_instant(TEXT)],
}
PATIENT: dict[type[pl.DataType], Sequence[pl.Expr]] = {
    pl.Int64: [_odd_whole_number(TEXT)],
    pl.Float64: [_number(TEXT)],
    pl.Decimal: [_exact_number(TEXT)],
    pl.Date: [_day(TEXT.str.replace(MIDNIGHT, ""))],
    # In one step, each use of a part would search the text anew.
    pl.Datetime: [
        TEXT.str.replace(BARE_HOUR, "${0}:00").str.extract_groups(ODD_INSTANT),
        _odd_instant(TEXT.struct.field),
    ],
}


def _apply(steps: Sequence[pl.Expr], text: pl.Series) -> pl.Series:
    values = text
    for step in steps:
        values = values.to_frame("text").select_seq(step).to_series()
    return values.alias(text.name)


def parse_column(text: pl.Series, wanted: pl.DataType) -> tuple[pl.Series, pl.Series]:
    """Parses a String column.

    Returns the values (null where there is no text, or none that can be read) and the
    positions of the fields that hold text that cannot be read. Blanks around a value do not
    count; a field of blanks alone is empty.
    """
    kind = type(wanted)
    if len(text) <= FEW_FIELDS and kind in READERS:
        return parse_few(text, wanted)
    values = _apply(QUICK[kind], text)
    if values.null_count() == text.null_count():
        return values, pl.Series(dtype=pl.UInt32)
    odd = (values.is_null() & text.is_not_null()).arg_true()
    stripped = text.gather(odd).str.strip_chars()
    mended = _apply(PATIENT[kind], stripped)
    values = values.scatter(odd, mended)
    return values, odd.filter(mended.is_null() & (stripped != ""))
