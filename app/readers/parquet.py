"""Parquet -> batches of text, a stretch of rows at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from app.domain import Batch, Reject
from app.errors import FileError
from app.readers import raw_text
from app.readers.limits import Limits

BATCH_ROWS = 65_536
BUFFER_BYTES = 1 << 20
NUMBERS = ("line_number", "row_number")
FLAT_KINDS = (
    types.is_integer,
    types.is_floating,
    types.is_decimal,
    types.is_boolean,
    types.is_string,
    types.is_large_string,
    types.is_string_view,
    types.is_date,
    types.is_time,
    types.is_timestamp,
    types.is_null,
)


class ParquetReader:
    """Reads flat columns as the text a CSV export would hold; a row's line is its number."""

    def __init__(self, source: BinaryIO, limits: Limits) -> None:
        self._source = source
        with file_trouble():
            self._file = pq.ParquetFile(source, buffer_size=BUFFER_BYTES)
            schema = self._file.schema_arrow
        for column in schema:
            require_flat(column)
        self.header = tuple(name.strip() for name in schema.names)

    def batches(
        self, names: Sequence[str], _types: Mapping[str, pl.DataType] | None = None
    ) -> Iterator[Batch]:
        row_count = 0
        stretches = self._file.iter_batches(batch_size=BATCH_ROWS)
        while (stretch := take_stretch(stretches)) is not None:
            text = as_text(stretch, names)
            numbers = pl.int_range(row_count + 1, row_count + 1 + text.height, dtype=pl.Int64)
            numbered = text.select(*(numbers.alias(name) for name in NUMBERS), pl.all())
            row_count += text.height
            yield make_batch(numbered, names, self._source.tell())


@contextmanager
def file_trouble() -> Iterator[None]:
    """Raises FileError for what Arrow finds wrong with the file."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        # The disk's errors carry a number, the decoder's do not.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FileError(
            found="content that is not a whole, sound Parquet file",
            expected="a Parquet file, as the file's name says",
            remedy="copy or export the file again, or correct the ending of its name",
        ) from error


def require_flat(column: pa.Field) -> None:
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if not any(is_kind(kind) for is_kind in FLAT_KINDS):
        raise FileError(
            found=f"column {column.name!r} of the type {column.type}",
            expected="columns of text, numbers, true/false, dates or times only",
            remedy="export that column as text, or leave it out",
        )


def take_stretch(stretches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    with file_trouble():
        stretch = next(stretches, None)
        if stretch is not None:
            stretch.validate(full=True)
    return stretch


def as_text(stretch: pa.RecordBatch, names: Sequence[str]) -> pl.DataFrame:
    frame = pl.DataFrame(stretch.rename_columns(list(names)))
    return frame.select(write_value(frame[name]) for name in names)


def write_value(column: pl.Series) -> pl.Expr:
    """Dates in ISO form, instants in UTC; a fraction of a second only where there is one."""
    value = pl.col(column.name)
    if isinstance(column.dtype, pl.Datetime):
        if column.dtype.time_zone is not None:
            value = value.dt.convert_time_zone("UTC")
        return value.dt.to_string("%Y-%m-%d %H:%M:%S%.6f").str.strip_suffix(".000000")
    if column.dtype == pl.Time:
        return value.dt.to_string("%H:%M:%S%.6f").str.strip_suffix(".000000")
    return value.cast(pl.String)


def make_batch(numbered: pl.DataFrame, names: Sequence[str], bytes_read: int) -> Batch:
    """PostgreSQL text cannot hold NUL, so rows with one are rejects."""
    is_storable = pl.all_horizontal(
        pl.lit(value=True), ~pl.col(names).str.contains("\0", literal=True).fill_null(value=False)
    )
    frame = numbered.filter(is_storable)
    refused = numbered.filter(~is_storable)
    raws = row_texts(refused)(range(refused.height))
    return Batch(
        frame=frame.with_columns(pl.when(pl.col(names) != "").then(pl.col(names))),
        rejects=[
            Reject(line_number, None, "a NUL byte", raw)
            for line_number, raw in zip(refused["line_number"], raws, strict=True)
        ],
        raw_texts=row_texts(frame),
        bytes_read=bytes_read,
    )


def row_texts(numbered: pl.DataFrame) -> Callable[[Sequence[int]], list[str]]:
    values = numbered.drop(NUMBERS)
    return lambda positions: [write_csv(values.row(k)) for k in positions]


def write_csv(values: Sequence[str | None]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return raw_text.show_text(line.getvalue())
