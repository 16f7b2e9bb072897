"""Parses a few fields one by one: some thirty of them take as long as starting Polars on a column.

What can be read, and as what, is as in `parse`, whose patterns these are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta

import polars as pl

from app import patterns

# What Polars strips; Python's own idea of blanks is another one.
BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
WHOLE_NUMBER = re.compile(patterns.WHOLE_NUMBER)
EXACT_DAY = re.compile(patterns.EXACT_DAY)
MIDNIGHT = re.compile(patterns.MIDNIGHT)
BARE_HOUR = re.compile(patterns.BARE_HOUR)
INSTANT = re.compile(patterns.ODD_INSTANT)
INT64 = range(-(2**63), 2**63)
MOST_DIGITS = 19


def parse_few(text: pl.Series, wanted: pl.DataType) -> tuple[pl.Series, pl.Series]:
    """Gives the same as `parse.parse_column`; for the types of READERS alone."""
    read = READERS[type(wanted)]
    fields = [(field or "").strip(BLANKS) for field in text.to_list()]
    values = [read(field) if field else None for field in fields]
    unreadable = [k for k, field in enumerate(fields) if field and values[k] is None]
    return pl.Series(text.name, values, wanted), pl.Series(unreadable, dtype=pl.UInt32)


def _whole_number(text: str) -> int | None:
    if not WHOLE_NUMBER.fullmatch(text):
        return None
    digits = text.partition(".")[0].lstrip("+-0")
    if len(digits) > MOST_DIGITS:  # Python refuses to read thousands of them
        return None
    number = int(digits or "0") * (-1 if text.startswith("-") else 1)
    return number if number in INT64 else None


def _day(text: str) -> date | None:
    text = MIDNIGHT.sub("", text)
    if not EXACT_DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _instant(text: str) -> datetime | None:
    found = INSTANT.fullmatch(BARE_HOUR.sub(r"\g<0>:00", text))
    if not found:
        return None
    hour, minute = (found["minutes"] or "00:00").split(":")
    seconds = (found["seconds"] or ":00")[1:]
    microseconds = (found["fraction"] or ".")[1:7].ljust(6, "0")
    offset = timedelta(hours=int(found["zone_hours"] or 0), minutes=int(found["zone_minutes"] or 0))
    parts = (*found["day"].split("-"), hour, minute, seconds, microseconds)
    try:
        local = datetime(*map(int, parts))  # type: ignore[arg-type]  # noqa: DTZ001 - as stored
        return local + offset if found["sign"] == "-" else local - offset
    except (ValueError, OverflowError):
        return None


READERS: Mapping[type[pl.DataType], Callable[[str], int | date | datetime | None]] = {
    pl.Int64: _whole_number,
    pl.Date: _day,
    pl.Datetime: _instant,
}
