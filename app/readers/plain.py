"""A block of plain rows -> typed columns in one go, by Arrow.

Most blocks of most files hold nothing but numbers, dates and instants as programs write them.
Such a block needs no look at its structure and no text in between. Whatever is not plain
throughout is left to the patient way, which alone decides what is a reject and why; where that
is only a few rows, the others are still read in one go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import csv

from app.parse import quick_values
from app.readers.blocks import MAX_RECORD_BYTES
from app.readers.structure import LF, NUL, QUOTE, Bytes, Flags, Shape, find_lines

BOM = "\ufeff".encode()
SMALL_BLOCK_BYTES = 64 << 10
# Arrow reads hexadecimal numbers too, and bare CRs as line ends.
ODD = (b"x", b"X")
DELETE = 0x7F
ARROW_TYPES = {
    pl.Int64: pa.int64(),
    pl.Date: pa.date32(),
    pl.Datetime: pa.timestamp("us"),
}
# Everywhere else a year has four digits and does not begin with 0; days or microseconds since 1970.
YEAR_1000 = date(1000, 1, 1) - date(1970, 1, 1)
FIRST = {pl.Date: YEAR_1000.days, pl.Datetime: YEAR_1000 // timedelta(microseconds=1)}


def can_be_plain(shape: Shape, names: Sequence[str], types: Mapping[str, pl.DataType]) -> bool:
    """Whether every column is of a type that can be read in one go."""
    is_known = all(type(types.get(name)) in ARROW_TYPES for name in names)
    return is_known and shape.delimiter != NUL


def read_plain(
    body: bytes, shape: Shape, names: Sequence[str], types: Mapping[str, pl.DataType]
) -> pl.DataFrame | None:
    """Gives the rows of a block, one to a line, with the types asked for and without nulls.

    None where anything calls for the patient way.
    """
    line_count = int(np.count_nonzero(np.frombuffer(body, np.uint8) == LF))
    if not _has_plain_lines(body, line_count):
        return None
    read = _split if len(body) <= SMALL_BLOCK_BYTES else _parse
    try:
        table = read(body, shape, {name: ARROW_TYPES[type(types[name])] for name in names})
    except pa.ArrowInvalid:
        return None
    # Not from the table as a whole, which wakes threads.
    frame = pl.DataFrame([pl.Series(name, table[name]) for name in names])
    return frame if len(frame) == line_count and _has_plain_years(frame) else None


@dataclass(frozen=True, slots=True)
class Apart:
    """A block of sound rows, read as far as that goes at once.

    columns: the plain rows. is_plain: which ones they are. odd: the text of the others.
    """

    columns: pl.DataFrame
    is_plain: Flags
    odd: bytes


def read_apart(
    body: bytes, shape: Shape, names: Sequence[str], types: Mapping[str, pl.DataType]
) -> Apart | None:
    """Reads a block in which a few fields call for the patient way.

    body: sound rows. None where more than fields calls for it.
    """
    text = np.frombuffer(body, np.uint8)
    ends = np.flatnonzero(text == LF)
    if not body or QUOTE in body or not _has_plain_line_ends(body, len(ends)):
        return None
    # Any other character than those of ASCII, in whatever encoding, makes a field odd.
    table = _parse(np.minimum(text, DELETE), shape, dict.fromkeys(names, pa.string()))
    if len(table) != len(ends):
        return None
    columns = [quick_values(pl.Series(name, table[name]), types[name]) for name in names]
    is_plain = np.logical_and.reduce([column.is_not_null().to_numpy() for column in columns])
    odd = np.flatnonzero(~is_plain)
    starts = np.append(0, ends + 1)[odd].tolist()
    texts = [body[start : end + 1] for start, end in zip(starts, ends[odd].tolist(), strict=True)]
    return Apart(pl.DataFrame(columns).filter(is_plain), is_plain, b"".join(texts))


def _parse(body: bytes | Bytes, shape: Shape, types: Mapping[str, pa.DataType]) -> pa.Table:
    return csv.read_csv(
        pa.py_buffer(body),
        read_options=csv.ReadOptions(
            use_threads=False, column_names=list(types), block_size=len(body) + 1
        ),
        parse_options=csv.ParseOptions(
            delimiter=chr(shape.delimiter), quote_char=False, ignore_empty_lines=False
        ),
        convert_options=csv.ConvertOptions(
            column_types=types, null_values=[], strings_can_be_null=False
        ),
        # Arrow's own pool keeps what each thread once took, and a service has many of them.
        memory_pool=pa.system_memory_pool(),
    )


def _split(body: bytes, shape: Shape, types: Mapping[str, pa.DataType]) -> pa.Table:
    """The same for a small block, without the thread that Arrow's reader begins for each one."""
    width = len(types)
    if not (find_lines(body, shape.delimiter).delimiters == width - 1).all():
        raise pa.ArrowInvalid("a line has too few or too many fields")
    delimiter = bytes([shape.delimiter])
    fields = body.replace(b"\r\n", delimiter).replace(b"\n", delimiter).split(delimiter)
    columns = [
        pa.array(fields[position:-1:width], pa.string()).cast(kind)
        for position, kind in enumerate(types.values())
    ]
    return pa.table(columns, names=list(types))


def _has_plain_lines(body: bytes, line_count: int) -> bool:
    if body.startswith(BOM) or any(byte in body for byte in ODD):
        return False
    return _has_plain_line_ends(body, line_count)


def _has_plain_line_ends(body: bytes, line_count: int) -> bool:
    if b"\r" in body and not body.count(b"\r") == body.count(b"\r\n") == line_count:
        return False
    # A line longer than a record may be has no end in one of these stretches.
    stretch = MAX_RECORD_BYTES // 2
    starts = range(0, len(body) - stretch, stretch)
    return all(body.find(b"\n", start, start + stretch) >= 0 for start in starts)


def _has_plain_years(frame: pl.DataFrame) -> bool:
    dated = [column for column in frame if type(column.dtype) in FIRST]
    return all(
        column.to_physical().to_numpy().min() >= FIRST[type(column.dtype)] for column in dated
    )
