"""The text of sound rows -> a frame of strings, by Polars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from app.readers.encoding import Encoding
from app.readers.records import Record, RecordScanner
from app.readers.rows import CONTINUED, ROW, Rows
from app.readers.structure import Flags, Lines, Shape

BOM = "\ufeff".encode()
# Polars wakes its threads for them, which takes as long as reading them by ourselves.
FEW_ROWS = 100


def join_rows(body: bytes, lines: Lines, rows: Rows) -> bytes:
    """The text of the kept rows alone, one after the other."""
    if len(rows.roles) == len(lines.ends) and not rows.rewritten and (rows.roles == ROW).all():
        return body
    is_kept = (rows.roles == ROW) | (rows.roles == CONTINUED)
    if not rows.rewritten:
        return b"".join(piece for _, piece in stretches(body, lines, is_kept))
    first_lines, last_lines = rows.bounds()
    for position in np.flatnonzero(np.isin(first_lines, list(rows.rewritten))).tolist():
        is_kept[first_lines[position] : last_lines[position] + 1] = False
    pieces: list[tuple[int, bytes | memoryview]] = list(stretches(body, lines, is_kept))
    pieces += [(int(lines.starts[line]), text) for line, text in rows.rewritten.items()]
    pieces.sort(key=lambda piece: piece[0])
    return b"".join(piece for _, piece in pieces)


def stretches(body: bytes, lines: Lines, is_kept: Flags) -> Iterator[tuple[int, memoryview]]:
    """Lines that follow on each other as one piece, and where it begins."""
    edges = np.flatnonzero(np.diff(is_kept.astype(np.int8), prepend=0, append=0))
    view = memoryview(body)
    starts = lines.starts[edges[0::2]].tolist()
    ends = (lines.ends[edges[1::2] - 1] + 1).tolist()
    return ((start, view[start:end]) for start, end in zip(starts, ends, strict=True))


def parse_rows(
    text: bytes, shape: Shape, encoding: Encoding | None, names: Sequence[str], row_count: int
) -> pl.DataFrame:
    """One String column per name; empty fields are null.

    text: row_count sound rows, quotes only around whole fields.
    """
    if row_count == 0:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    if encoding is not None and encoding.codec != "utf-8" and not text.isascii():
        text = text.decode(encoding.codec).encode()
    try:
        frame = parse_by_polars(text, shape, names) if row_count > FEW_ROWS else None
    except pl.exceptions.PolarsError:
        frame = None
    if frame is None or frame.height != row_count:
        # Polars has its own idea of where rows end; no row may be lost to a difference.
        frame = parse_by_scanner(text, shape, names)
    return frame


def parse_by_polars(text: bytes, shape: Shape, names: Sequence[str]) -> pl.DataFrame:
    has_quotes = b'"' in text
    frame = pl.read_csv(
        # Polars drops one byte order mark, which here would be a row's own character.
        BOM + text if text.startswith(BOM) else text,
        has_header=False,
        schema=dict.fromkeys(names, pl.String),
        separator=chr(shape.delimiter),
        quote_char='"' if has_quotes else None,
    )
    return null_where_empty(frame) if has_quotes and b'""' in text else frame


def parse_by_scanner(text: bytes, shape: Shape, names: Sequence[str]) -> pl.DataFrame:
    """The same frame as parse_by_polars gives, slowly."""
    scanner = RecordScanner(shape)
    rows: list[list[str | None]] = []
    start = 0
    while start < len(text):
        record = scanner.scan(text, start, is_last=True)
        if not isinstance(record, Record):
            raise TypeError(f"rows were accepted that cannot be read: {record}")
        rows.append([field.decode() or None for field in record.fields])
        start = record.end + 1
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return pl.DataFrame([pl.Series(name, fields, pl.String) for name, fields in columns])


def null_where_empty(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.when(pl.all() != "").then(pl.all()))
