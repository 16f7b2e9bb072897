"""Parses columns of text into the types a contract asks for, whole columns at a time."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

INSTANT_FORMATS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
)
ZONED_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z")
DAY = "%Y-%m-%d"
WANTED = {
    pl.Int64: "a whole number that fits 64 bits",
    pl.Float64: "a number",
    pl.Date: "a date as YYYY-MM-DD",
    pl.Datetime: "a date and time as YYYY-MM-DD HH:MM:SS",
}


def _first_that_fits(attempts: list[pl.Expr], text: pl.Series) -> pl.Series:
    return text.to_frame("text").select(pl.coalesce(attempts)).to_series()


def _instant(format_: str) -> pl.Expr:
    return pl.col("text").str.to_datetime(format_, time_unit="us", strict=False)


def _zoned(format_: str) -> pl.Expr:
    parsed = pl.col("text").str.to_datetime(format_, time_unit="us", time_zone="UTC", strict=False)
    return parsed.dt.replace_time_zone(None)


def _odd_instants(text: pl.Series) -> pl.Series:
    day = pl.col("text").str.to_date(DAY, strict=False).cast(pl.Datetime("us"))
    attempts = [*map(_instant, INSTANT_FORMATS), *map(_zoned, ZONED_FORMATS), day]
    return _first_that_fits(attempts, text)


def _odd_days(text: pl.Series) -> pl.Series:
    midnight = pl.col("text").str.replace(r"[T ]00:00(:00(\.0+)?)?$", "")
    return _first_that_fits([midnight.str.to_date(DAY, strict=False)], text)


def _odd_whole_numbers(text: pl.Series) -> pl.Series:
    whole = pl.col("text").str.replace(r"\.0*$", "")
    plain = pl.col("text").str.contains(r"^[+-]?\d+(\.0*)?$")
    return _first_that_fits([pl.when(plain).then(whole).cast(pl.Int64, strict=False)], text)


def _odd_numbers(text: pl.Series) -> pl.Series:
    return text.cast(pl.Float64, strict=False)


# For each type: the quick way, right for files written by programs, and the patient way for
# the few fields the quick one cannot read (blanks around, fractions, zones, `5.0`).
QUICK: dict[type[pl.DataType], Callable[[pl.Series], pl.Series]] = {
    pl.Int64: lambda text: text.cast(pl.Int64, strict=False),
    pl.Float64: lambda text: text.cast(pl.Float64, strict=False),
    pl.Date: lambda text: text.str.to_date(DAY, strict=False),
    pl.Datetime: lambda text: text.str.to_datetime(
        INSTANT_FORMATS[0], time_unit="us", strict=False
    ),
}
PATIENT: dict[type[pl.DataType], Callable[[pl.Series], pl.Series]] = {
    pl.Int64: _odd_whole_numbers,
    pl.Float64: _odd_numbers,
    pl.Date: _odd_days,
    pl.Datetime: _odd_instants,
}


def parse_column(text: pl.Series, wanted: pl.DataType) -> tuple[pl.Series, pl.Series]:
    """Parses a String column.

    Returns the values (null where there is no text, or none that can be read) and the
    positions of the fields that hold text that cannot be read. Blanks around a value do not
    count; a field of blanks alone is empty.
    """
    kind = type(wanted)
    values = QUICK[kind](text)
    if values.null_count() == text.null_count():
        return values, pl.Series(dtype=pl.UInt32)
    odd = (values.is_null() & text.is_not_null()).arg_true()
    stripped = text.gather(odd).str.strip_chars()
    mended = PATIENT[kind](stripped)
    values = values.scatter(odd, mended)
    return values, odd.filter(mended.is_null() & (stripped != ""))
