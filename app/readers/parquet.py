"""Parquet -> batches of text, a stretch of rows at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa

from app.domain import Batch, Reject
from app.errors import FileError
from app.readers import decoding, raw_text
from app.readers.limits import Allowance, Limits, stored_bytes

NUMBERS = ("line_number", "row_number")
REFUSED = "refused"
# Each row's numbers take so much here, however little the file itself says of it.
NUMBERS_BYTES = 16


class ParquetReader:
    """Reads flat columns as the text a CSV export would hold; a row's line is its number."""

    def __init__(self, source: BinaryIO, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        header = decoding.read_header(source, limits)
        limits.require_columns(header.get("count", 0))
        if "odd" in header:
            raise odd_column(*header["odd"])
        self.header = tuple(name.strip() for name in header["names"])

    def batches(
        self, names: Sequence[str], _types: Mapping[str, pl.DataType] | None = None
    ) -> Iterator[Batch]:
        row_count = 0
        allowance = Allowance(stored_bytes(self._source), self._limits)
        for stretch, position in decoding.read_rows(self._source, self._limits):
            allowance.take(stretch.nbytes + NUMBERS_BYTES * stretch.num_rows)
            text = as_text(stretch, names)
            numbers = pl.int_range(row_count + 1, row_count + 1 + text.height, dtype=pl.Int64)
            numbered = text.select(*(numbers.alias(name) for name in NUMBERS), pl.all())
            row_count += text.height
            yield make_batch(numbered, names, position)


def odd_column(name: str, kind: str) -> FileError:
    return FileError(
        found=f"column {name!r} of the type {kind}",
        expected="columns of text, numbers, true/false, dates or times only",
        remedy="export that column as text, or leave it out",
    )


def as_text(stretch: pa.RecordBatch, names: Sequence[str]) -> pl.DataFrame:
    frame = pl.DataFrame(stretch.rename_columns([*names, REFUSED]))
    return frame.select(*(write_value(frame[name]) for name in names), REFUSED)


def write_value(column: pl.Series) -> pl.Expr:
    """Dates in ISO form; a fraction of a second only where there is one."""
    value = pl.col(column.name)
    if isinstance(column.dtype, pl.Datetime):
        return value.dt.to_string("%Y-%m-%d %H:%M:%S%.6f").str.strip_suffix(".000000")
    if column.dtype == pl.Time:
        return value.dt.to_string("%H:%M:%S%.6f").str.strip_suffix(".000000")
    return value.cast(pl.String)


def make_batch(numbered: pl.DataFrame, names: Sequence[str], bytes_read: int) -> Batch:
    """PostgreSQL text cannot hold NUL, so rows with one are rejects, as are the refused ones."""
    has_nul = pl.any_horizontal(
        pl.lit(value=False), pl.col(names).str.contains("\0", literal=True).fill_null(value=False)
    )
    reason = pl.coalesce(REFUSED, pl.when(has_nul).then(pl.lit("a NUL byte")))
    judged = numbered.with_columns(reason.alias(REFUSED))
    frame = judged.filter(pl.col(REFUSED).is_null()).drop(REFUSED)
    refused = judged.filter(pl.col(REFUSED).is_not_null())
    raws = row_texts(refused.drop(REFUSED))(refused["line_number"].to_list())
    return Batch(
        frame=frame.with_columns(pl.when(pl.col(names) != "").then(pl.col(names))),
        rejects=[
            Reject(line_number, None, reason, raw)
            for line_number, reason, raw in zip(
                refused["line_number"], refused[REFUSED], raws, strict=True
            )
        ],
        raw_texts=row_texts(frame),
        bytes_read=bytes_read,
    )


def row_texts(numbered: pl.DataFrame) -> Callable[[Sequence[int]], list[str]]:
    values = numbered.drop(NUMBERS)
    lines = numbered["line_number"].to_numpy()
    return lambda chosen: [write_csv(values.row(k)) for k in np.searchsorted(lines, chosen)]


def write_csv(values: Sequence[str | None]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return raw_text.show_text(line.getvalue())
