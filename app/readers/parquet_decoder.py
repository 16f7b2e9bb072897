"""Parquet -> Arrow's stream format; a program of its own, which `decoding` starts.

What a hostile file does to a decoder in C++ ends here: memory and time are limited by the
kernel, and whatever happens, the service reads how it ended. Imports nothing of Sluice, to begin
quickly. Arguments: the number of the file's descriptor, `header` or `rows`, and the limits:
bytes of memory, columns, and bytes of a row's text.

`header` prints one JSON object: either `names`, or the `count` of too many columns, or the `odd`
column's name and type. `rows` writes batches whose columns are in the file's order, and after
them one that says why a row is refused, null where it is not.
"""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

UNSOUND, TOO_LARGE = 3, 4
# A disk's error number is added to it.
DISK_ERRORS = 50
BATCH_ROWS = 65_536
MESSAGE_BYTES = 4 << 20
BUFFER_BYTES = 1 << 20
# Time of the processor: so much at first, and a second more for each so many bytes given.
FIRST_SECONDS = 60
BYTES_PER_SECOND = 1 << 20
SHOWN_CHARACTERS = 10_000
SHOWN_NAME = 80
# In days since 1970: the years that Python, Polars and PostgreSQL all have.
FIRST_DAY = date(1, 1, 1).toordinal() - date(1970, 1, 1).toordinal()
BEYOND_DAY = date(9999, 12, 31).toordinal() + 1 - date(1970, 1, 1).toordinal()
PER_DAY = {unit: 86_400 * 1_000**power for power, unit in enumerate(("s", "ms", "us", "ns"))}
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

Flags: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]
Sizes: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]


class Positioned(io.RawIOBase):
    """A file that others may read at the same time: where it stands is known to it alone."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}
        start = base[whence] if whence in base else os.fstat(self._descriptor).st_size
        self._position = start + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        wanted = size if size >= 0 else os.fstat(self._descriptor).st_size - self._position
        content = os.pread(self._descriptor, wanted, self._position)
        self._position += len(content)
        return content


def limit_memory(memory_bytes: int) -> None:
    """Lets this process take so much more than it has now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    allowed = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_seconds(given_bytes: int) -> None:
    """Lets the kernel end this process when it computes for long and gives nothing."""
    seconds = FIRST_SECONDS + given_bytes // BYTES_PER_SECOND
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


def header_of(file: pq.ParquetFile, most_columns: int) -> dict[str, object]:
    if file.metadata.num_columns > most_columns:
        return {"count": file.metadata.num_columns}
    schema = file.schema_arrow
    for column in schema:
        kind = column.type.value_type if types.is_dictionary(column.type) else column.type
        if not any(is_kind(kind) for is_kind in FLAT_KINDS):
            return {"odd": [column.name[:SHOWN_NAME], str(column.type)[:SHOWN_NAME]]}
    return {"names": schema.names}


def write_rows(file: pq.ParquetFile, source: Positioned, most_text_bytes: int) -> None:
    given_bytes = 0
    writer: pa.RecordBatchStreamWriter | None = None
    for stretch in file.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
        stretch.validate(full=True)
        for batch in cut(judge(stretch, most_text_bytes)):
            if writer is None:
                writer = pa.ipc.new_stream(sys.stdout.buffer, batch.schema)
            writer.write_batch(batch, {"position": str(source.tell())})
            given_bytes += batch.nbytes
        limit_seconds(given_bytes)
    if writer is None:
        writer = pa.ipc.new_stream(sys.stdout.buffer, pa.schema([]))
    writer.close()


def judge(stretch: pa.RecordBatch, most_text_bytes: int) -> pa.RecordBatch:
    """The same values in types that every reader of the stream knows, and the refusals.

    Of a refused row's texts only what is shown of them is left.
    """
    reasons: dict[int, str] = {}
    columns = []
    for name, column in zip(stretch.schema.names, stretch.columns, strict=True):
        plain, beyond = plain_column(column)
        columns.append(plain)
        for row in np.flatnonzero(beyond).tolist():
            number = column[row].value
            reasons.setdefault(row, f"{name[:SHOWN_NAME]!r} holds {number}, which is no day")
    sizes = text_sizes(columns, stretch.num_rows)
    long_rows = np.flatnonzero(sizes > most_text_bytes).tolist()
    reasons |= dict.fromkeys(long_rows, f"a row of more than {most_text_bytes:,} bytes")
    if long_rows:
        columns = shorten(columns, pa.array(sizes > most_text_bytes))
    refusals = pa.array([reasons.get(row) for row in range(stretch.num_rows)], pa.large_string())
    numbers = [str(number) for number in range(len(columns))]
    return pa.record_batch([*columns, refusals], [*numbers, "refused"])


def plain_column(column: pa.Array) -> tuple[pa.Array, Flags]:
    """Gives also which values are instants or days that no calendar has, null in the column."""
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if types.is_timestamp(kind):
        return within_calendar(column, PER_DAY[kind.unit], pa.timestamp(kind.unit))
    if types.is_date(kind):
        per_day = 1 if types.is_date32(kind) else PER_DAY["ms"]
        return within_calendar(column, per_day, kind)
    return column.cast(plain_kind(kind)), np.zeros(len(column), np.bool_)


def plain_kind(kind: pa.DataType) -> pa.DataType:
    if types.is_string(kind) or types.is_string_view(kind) or types.is_decimal256(kind):
        return pa.large_string()
    if types.is_decimal32(kind) or types.is_decimal64(kind):
        return pa.decimal128(kind.precision, kind.scale)
    return pa.float32() if types.is_float16(kind) else kind


def within_calendar(column: pa.Array, per_day: int, kind: pa.DataType) -> tuple[pa.Array, Flags]:
    """Gives the values as instants in UTC, without their zone, or as days."""
    stored = column.view(pa.int32() if per_day == 1 else pa.int64())
    first = max(FIRST_DAY * per_day, -(2**63))
    last = min(BEYOND_DAY * per_day - 1, 2**63 - 1)
    is_outside = pc.or_(pc.less(stored, first), pc.greater(stored, last))
    is_beyond = pc.fill_null(is_outside, fill_value=False)
    kept = pc.if_else(is_beyond, pa.scalar(None, stored.type), stored)
    return kept.view(kind), is_beyond.to_numpy(zero_copy_only=False)


def cut(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Gives the rows in messages of bounded size."""
    until = np.cumsum(text_sizes(batch.columns, batch.num_rows) + 8 * batch.num_columns)
    start = 0
    while start < batch.num_rows:
        so_far = until[start - 1] if start else 0
        stop = int(np.searchsorted(until, so_far + MESSAGE_BYTES, side="right"))
        stop = max(stop, start + 1)
        yield batch.slice(start, stop - start)
        start = stop


def text_sizes(columns: list[pa.Array], row_count: int) -> Sizes:
    """Bytes of text in each row."""
    sizes = np.zeros(row_count, np.int64)
    for column in columns:
        if types.is_large_string(column.type):
            sizes += pc.fill_null(pc.binary_length(column), 0).to_numpy()
    return sizes


def shorten(columns: list[pa.Array], is_long: pa.Array) -> list[pa.Array]:
    most = SHOWN_CHARACTERS // len(columns) + 1
    return [
        pc.if_else(is_long, pc.utf8_slice_codeunits(column, 0, most), column)
        if types.is_large_string(column.type)
        else column
        for column in columns
    ]


def main() -> int:
    descriptor, wanted, *limits = sys.argv[1:]
    memory_bytes, most_columns, most_text_bytes = map(int, limits)
    # Its memory is given back at once, and comes from where the kernel's limit holds.
    pa.set_memory_pool(pa.system_memory_pool())
    limit_memory(memory_bytes)
    limit_seconds(0)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        source = Positioned(int(descriptor))
        file = pq.ParquetFile(source, buffer_size=BUFFER_BYTES)
        if wanted == "header":
            sys.stdout.write(json.dumps(header_of(file, most_columns)))
        else:
            write_rows(file, source, most_text_bytes)
    except MemoryError:
        return TOO_LARGE
    except OSError as error:
        # The disk's errors carry a number, the decoder's do not.
        return UNSOUND if error.errno is None else DISK_ERRORS + error.errno
    except Exception:
        return UNSOUND
    return 0


if __name__ == "__main__":
    sys.exit(main())
