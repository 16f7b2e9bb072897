"""What COPY takes: frames to bytes, binary or CSV, and binary ones back.

Source: PostgreSQL's documentation of COPY, "Binary Format".
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache
from itertools import accumulate

import numpy as np
import polars as pl
from pgpq import ArrowToPostgresBinaryEncoder

Encoded = bytes | memoryview

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
SINCE_1970 = date(2000, 1, 1) - date(1970, 1, 1)
# Types that take as many bytes in every row: the numbers they are, how COPY writes them, and what
# it counts from where that is not 1970, in days or microseconds.
FIXED_WIDTH = {
    pl.Int64: (pl.Int64, ">i8", 0),
    pl.Date: (pl.Int32, ">i4", SINCE_1970.days),
    pl.Datetime("us"): (pl.Int64, ">i8", SINCE_1970 // timedelta(microseconds=1)),
}


def encode_rows(frame: pl.DataFrame) -> Encoded:
    """Gives the frame's rows, without header and trailer.

    Int64 becomes bigint, String text, Date date, Datetime timestamp, List(String) text[].
    """
    if _has_fixed_width(frame):
        return _encode_fixed_width(frame)
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    encoder = ArrowToPostgresBinaryEncoder(table.schema)
    encoder.write_header()
    parts = [encoder.write_batch(batch) for batch in table.to_batches()]
    return b"".join([*parts, encoder.finish().removesuffix(TRAILER)])


def encode_parts(frame: pl.DataFrame, heights: Sequence[int]) -> list[Encoded]:
    """Gives the same of each part of the frame; the parts are so many rows, one after the other."""
    ends = list(accumulate(heights))
    starts = [end - height for end, height in zip(ends, heights, strict=True)]
    if not _has_fixed_width(frame):
        return [encode_rows(frame[start:end]) for start, end in zip(starts, ends, strict=True)]
    encoded, width = _encode_fixed_width(frame), _layout(tuple(frame.dtypes)).itemsize
    return [encoded[start * width : end * width] for start, end in zip(starts, ends, strict=True)]


def encode_text(frame: pl.DataFrame) -> Encoded:
    """Gives the frame's rows as CSV, where null is nothing and an empty text is `""`.

    Numbers have no zeros after their last decimal: binary rows would show all that the type has.
    """
    decimals = [
        name
        for name, dtype in frame.schema.items()
        if isinstance(dtype, pl.Decimal) and dtype.scale
    ]
    shown = pl.col(decimals).cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
    rows = io.BytesIO()
    frame.with_columns(shown).write_csv(rows, include_header=False)
    return rows.getbuffer()


def is_fixed_width(dtypes: Sequence[pl.DataType]) -> bool:
    """Whether rows of these types are all as long, as far as they hold no nulls."""
    return all(dtype in FIXED_WIDTH for dtype in dtypes)


def _has_fixed_width(frame: pl.DataFrame) -> bool:
    return is_fixed_width(frame.dtypes) and not any(each.null_count() for each in frame)


@lru_cache(maxsize=64)
def _layout(dtypes: Sequence[pl.DataType]) -> np.dtype[np.void]:
    """A row: how many fields it has, then each one's length and value."""
    fields: list[tuple[str, str]] = [("field_count", ">i2")]
    for position, dtype in enumerate(dtypes):
        fields += [(f"length_{position}", ">i4"), (f"value_{position}", FIXED_WIDTH[dtype][1])]
    return np.dtype(fields)


def _encode_fixed_width(frame: pl.DataFrame) -> memoryview:
    rows = np.empty(len(frame), _layout(tuple(frame.dtypes)))
    rows["field_count"] = frame.width
    for position, column in enumerate(frame):
        values = rows[f"value_{position}"]
        rows[f"length_{position}"] = values.itemsize
        numbers, _, origin = FIXED_WIDTH[column.dtype]
        # `to_physical` does the same by way of an expression, which costs as much as 1,000 rows.
        np.subtract(column.cast(numbers).to_numpy(), origin, out=values)
    return rows.view(np.uint8).data


def decode_rows(encoded: bytes, schema: pl.Schema) -> pl.DataFrame:
    """Gives rows of fixed width, without nulls, as a frame.

    encoded: all that one COPY gave, header and trailer included.
    """
    start, beyond = len(HEADER), len(encoded) - len(TRAILER)
    rows = np.frombuffer(encoded[start:beyond], _layout(tuple(schema.values())))
    columns = []
    for position, (name, dtype) in enumerate(schema.items()):
        values = rows[f"value_{position}"]
        counted = np.add(values, FIXED_WIDTH[dtype][2], dtype=values.dtype.newbyteorder("="))
        columns.append(pl.Series(name, counted).cast(dtype))
    return pl.DataFrame(columns)
