"""Parquet through the front door: values become the text a CSV export would hold."""

from __future__ import annotations

import io
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.domain import Batch
from app.errors import FileError
from app.readers import open_reader


def write(table: pa.Table, row_group_size: int | None = None) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=row_group_size)
    return sink.getvalue()


def read(content: bytes) -> list[Batch]:
    reader = open_reader(io.BytesIO(content), "x.Parquet")
    return list(reader.batches([f"c{k}" for k in range(len(reader.header))]))


EAST = timezone(timedelta(hours=2))


# A value, its type, and the text that a CSV export would hold.
VALUES = [
    (7, pa.int64(), "7"),
    (255, pa.uint8(), "255"),
    (5.0, pa.float64(), "5.0"),
    (0.1, pa.float64(), "0.1"),
    (0.1, pa.float32(), "0.1"),
    (Decimal("1.50"), pa.decimal128(9, 2), "1.50"),
    (True, pa.bool_(), "true"),
    (" é,\n", pa.string(), " é,\n"),
    ("x", pa.large_string(), "x"),
    ("x", pa.dictionary(pa.int32(), pa.string()), "x"),
    ("", pa.string(), None),
    (None, pa.string(), None),
    (None, pa.null(), None),
    (date(2023, 1, 5), pa.date32(), "2023-01-05"),
    (time(4, 5, 6), pa.time64("us"), "04:05:06"),
    (datetime(2023, 1, 5, 4, 5, 6), pa.timestamp("s"), "2023-01-05 04:05:06"),  # noqa: DTZ001
    (
        datetime(2023, 1, 5, 4, 5, 6, 120_000),  # noqa: DTZ001
        pa.timestamp("ms"),
        "2023-01-05 04:05:06.120000",
    ),
    (
        datetime(2023, 1, 5, 4, 5, 6, 7),  # noqa: DTZ001
        pa.timestamp("ns"),
        "2023-01-05 04:05:06.000007",
    ),
    (
        datetime(2023, 1, 5, 1, 5, 6, tzinfo=EAST),
        pa.timestamp("us", "Europe/Berlin"),
        "2023-01-04 23:05:06",
    ),
]


def test_values_become_text() -> None:
    columns = [pa.array([value], kind) for value, kind, _ in VALUES]
    (batch,) = read(write(pa.Table.from_arrays(columns, [f"c{k}" for k in range(len(columns))])))
    assert batch.frame.rows() == [(1, 1, *(expected for *_, expected in VALUES))]


def test_the_header_keeps_its_order_and_names_may_repeat() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], [" b ", "a", "a"])
    content = write(table)
    assert open_reader(io.BytesIO(content), "x.parquet").header == ("b", "a", "a")
    assert read(content)[0].frame.rows() == [(1, 1, "1", "2", "3")]


def test_rows_are_read_in_stretches_and_numbered_through() -> None:
    count = 150_000
    content = write(pa.table({"a": pa.array(range(count))}), row_group_size=100_000)
    batches = read(content)
    assert max(batch.frame.height for batch in batches) <= 65_536
    rows = [row for batch in batches for row in batch.frame.iter_rows()]
    assert rows == [(k + 1, k + 1, str(k)) for k in range(count)]
    assert all(0 < batch.bytes_read <= len(content) for batch in batches)


def test_raw_texts_are_written_as_csv() -> None:
    (batch,) = read(write(pa.table({"a": ["x,y", 'q"', None], "b": [1, 2, 3]})))
    assert batch.raw_texts([2, 1, 3]) == ['"q""",2', '"x,y",1', ",3"]


def test_rows_with_a_nul_character_are_refused() -> None:
    (batch,) = read(write(pa.table({"a": ["x", "y\0z", None, "w"], "b": [1, 2, 3, 4]})))
    assert batch.frame.rows() == [(1, 1, "x", "1"), (3, 3, None, "3"), (4, 4, "w", "4")]
    assert [(r.line_number, r.column_name, r.reason, r.raw) for r in batch.rejects] == [
        (2, None, "a NUL byte", "y\\x00z,2")
    ]


def test_a_file_without_rows_is_sound() -> None:
    content = write(pa.table({"a": pa.array([], pa.string())}))
    assert open_reader(io.BytesIO(content), "x.parquet").header == ("a",)
    assert [batch.frame.rows() for batch in read(content) if batch.frame.height] == []


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([[1]], "list<element: int64>"),
        ([{"a": 1}], "struct<a: int64>"),
        ([b"x"], "binary"),
        ([timedelta(1)], "duration[us]"),
    ],
)
def test_a_column_that_is_not_flat_is_named(values: list[object], kind: str) -> None:
    content = write(pa.table({"ok": [1], "odd": values}))
    with pytest.raises(FileError) as caught:
        open_reader(io.BytesIO(content), "x.parquet")
    assert caught.value.found == f"column 'odd' of the type {kind}"


@pytest.mark.parametrize("damage", ["empty", "text", "cut off", "no footer"])
def test_a_file_that_is_not_parquet_is_refused(damage: str) -> None:
    whole = write(pa.table({"a": list(range(1_000))}))
    content = {"empty": b"", "text": b"a,b\n1,2\n" * 9, "cut off": whole[:-9]}.get(
        damage, b"PAR1" + bytes(40) + b"PAR1"
    )
    with pytest.raises(FileError) as caught:
        open_reader(io.BytesIO(content), "x.parquet")
    assert caught.value.found == "content that is not a whole, sound Parquet file"


@pytest.mark.parametrize("part", ["pages", "text"])
def test_damage_inside_is_refused_when_reached(part: str) -> None:
    if part == "pages":
        whole = write(pa.table({"a": list(range(1_000))}))
        content = whole[:4] + b"\xff" * 200 + whole[204:]
    else:
        offsets = pa.py_buffer(b"\0\0\0\0\1\0\0\0")
        text = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff")])
        content = write(pa.table({"a": text}))
    batches = open_reader(io.BytesIO(content), "x.parquet").batches(["a"])
    with pytest.raises(FileError):
        list(batches)


def test_a_disk_that_fails_is_not_the_files_fault() -> None:
    class Failing(io.BytesIO):
        has_failed = False

        def read(self, size: int | None = -1, /) -> bytes:
            if self.has_failed:
                raise OSError(5, "Input/output error")
            return super().read(size)

    source = Failing(write(pa.table({"a": list(range(1_000))})))
    reader = open_reader(source, "x.parquet")
    source.has_failed = True
    with pytest.raises(OSError, match="Input/output error"):
        list(reader.batches(["a"]))


def test_the_callers_file_stays_open() -> None:
    source = io.BytesIO(write(pa.table({"a": [1]})))
    list(open_reader(source, "x.parquet").batches(["a"]))
    assert not source.closed
