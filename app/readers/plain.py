"""A block of plain rows -> typed columns in one go, by Arrow, or by Python where it is small.

Most blocks of most files hold nothing but numbers, dates and instants as programs write them.
Such a block needs no look at its structure and no text in between. Whatever is not plain
throughout is left to the patient way, which alone decides what is a reject and why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import csv

from app.patterns import DAY
from app.readers.blocks import MAX_RECORD_BYTES
from app.readers.structure import LF, NUL, Bytes, Shape

BOM = "\ufeff".encode()
# Arrow begins a thread for each block; by the time that takes, Python has read one this small.
SMALL_BLOCK_BYTES = 64 << 10
# Arrow reads hexadecimal numbers too, and bare CRs as line ends.
ODD = (b"x", b"X")
ARROW_TYPES = {
    pl.Int64: pa.int64(),
    pl.Date: pa.date32(),
    pl.Datetime: pa.timestamp("us"),
}
# Everywhere else a year has four digits and does not begin with 0; days or microseconds since 1970.
YEAR_1000 = date(1000, 1, 1) - date(1970, 1, 1)
FIRST = {
    pa.date32(): (pa.int32(), YEAR_1000.days),
    pa.timestamp("us"): (pa.int64(), YEAR_1000 // timedelta(microseconds=1)),
}
PLAIN_DAY = DAY.encode()
PLAIN_TIME = rb"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
# What a field of a small block looks like, and what Python makes of it.
FIELDS: Mapping[type[pl.DataType], tuple[bytes, Callable[[str], object]]] = {
    pl.Int64: (rb"-?[0-9]{1,19}", int),
    pl.Date: (PLAIN_DAY, date.fromisoformat),
    pl.Datetime: (PLAIN_DAY + rb"[ T]" + PLAIN_TIME, datetime.fromisoformat),
}


def can_be_plain(shape: Shape, names: Sequence[str], types: Mapping[str, pl.DataType]) -> bool:
    """Whether every column is of a type that can be read in one go."""
    is_known = all(type(types.get(name)) in ARROW_TYPES for name in names)
    return is_known and shape.delimiter != NUL


def read_plain(body: bytes, shape: Shape, types: Mapping[str, pl.DataType]) -> pl.DataFrame | None:
    """Gives the rows of a block, one to a line, with a column of each type and without nulls.

    None where anything calls for the patient way.
    """
    if len(body) <= SMALL_BLOCK_BYTES:
        return _read_few(body, shape, types)
    line_count = int(np.count_nonzero(np.frombuffer(body, np.uint8) == LF))
    if not _has_plain_lines(body, line_count):
        return None
    return read_lines(body, shape, types, line_count)


def read_lines(
    text: bytes | Bytes, shape: Shape, types: Mapping[str, pl.DataType], line_count: int
) -> pl.DataFrame | None:
    """Gives a row for each line that is not empty; None where Arrow does not find as many."""
    try:
        table = _parse(text, shape, {name: ARROW_TYPES[type(types[name])] for name in types})
    except pa.ArrowInvalid:
        return None
    if len(table) != line_count or not _has_plain_years(table):
        return None
    # Not from the table as a whole, which wakes threads.
    return pl.DataFrame([pl.Series(name, table[name]) for name in types])


def _parse(body: bytes | Bytes, shape: Shape, types: Mapping[str, pa.DataType]) -> pa.Table:
    return csv.read_csv(
        pa.py_buffer(body),
        read_options=csv.ReadOptions(
            use_threads=False, column_names=list(types), block_size=len(body) + 1
        ),
        parse_options=csv.ParseOptions(
            delimiter=chr(shape.delimiter), quote_char=False, ignore_empty_lines=True
        ),
        convert_options=csv.ConvertOptions(
            column_types=types, null_values=[], strings_can_be_null=False
        ),
        # Arrow's own pool keeps what each thread once took, and a service has many of them.
        memory_pool=pa.system_memory_pool(),
    )


def _read_few(body: bytes, shape: Shape, types: Mapping[str, pl.DataType]) -> pl.DataFrame | None:
    """The same for a small block, by Python: in a third of the time for ten rows."""
    if not _rows_pattern(shape.delimiter, tuple(map(type, types.values()))).fullmatch(body):
        return None
    delimiter = chr(shape.delimiter)
    fields = body.decode().replace("\r\n", delimiter).replace("\n", delimiter).split(delimiter)
    columns = []
    for position, (name, dtype) in enumerate(types.items()):
        read = FIELDS[type(dtype)][1]
        try:
            values = list(map(read, fields[position : -1 : len(types)]))
            columns.append(pl.Series(name, values, dtype))
        except (ValueError, OverflowError, TypeError):  # not in the calendar, or beyond 64 bits
            return None
    return pl.DataFrame(columns)


@lru_cache(maxsize=64)
def _rows_pattern(delimiter: int, kinds: Sequence[type[pl.DataType]]) -> re.Pattern[bytes]:
    row = re.escape(bytes([delimiter])).join(FIELDS[kind][0] for kind in kinds)
    return re.compile(rb"(?:%b\r?\n)*+" % row)


def _has_plain_lines(body: bytes, line_count: int) -> bool:
    if body.startswith(BOM) or any(byte in body for byte in ODD):
        return False
    if b"\r" in body and not body.count(b"\r") == body.count(b"\r\n") == line_count:
        return False
    # A line longer than a record may be has no end in one of these stretches.
    stretch = MAX_RECORD_BYTES // 2
    starts = range(0, len(body) - stretch, stretch)
    return all(body.find(b"\n", start, start + stretch) >= 0 for start in starts)


def _has_plain_years(table: pa.Table) -> bool:
    # In Polars, asking a column for its numbers takes as long as reading a small file's rows.
    return all(
        chunk.view(FIRST[column.type][0]).to_numpy().min() >= FIRST[column.type][1]
        for column in table.columns
        if column.type in FIRST
        for chunk in column.chunks
    )
