"""What a file may ask for: past a limit it is refused in words, and never held in memory."""

from __future__ import annotations

import gzip
import io
import json

import pytest
import zstandard

from app.cli.cells import inert
from app.domain import Batch
from app.errors import FileError
from app.readers import Limits, open_reader
from app.readers.limits import shown_bytes
from app.settings import Settings

MIB = 1 << 20
HEADER = b"a,b\n"


def read(content: bytes, name: str, limits: Limits) -> list[Batch]:
    reader = open_reader(io.BytesIO(content), name, limits=limits)
    return list(reader.batches([f"c{k}" for k in range(len(reader.header))]))


def refusal(content: bytes, name: str, limits: Limits) -> FileError:
    with pytest.raises(FileError) as caught:
        read(content, name, limits)
    return caught.value


def compress(content: bytes, ending: str) -> bytes:
    return gzip.compress(content) if ending == "gz" else zstandard.compress(content)


def test_the_limits_are_those_of_the_settings() -> None:
    given = Settings(
        max_line_bytes=5_000,
        max_columns=6,
        max_uncompressed_bytes=7_000,
        max_compression_ratio=8.5,
        max_parquet_memory_bytes=90 * MIB,
    )
    assert Limits.of(given) == Limits(5_000, 6, 7_000, 8.5, 90 * MIB)
    assert Limits.of(Settings()) == Limits()


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_compressed_content_is_limited_by_ratio_past_what_is_harmless(ending: str) -> None:
    just_harmless = HEADER + bytes(64 * MIB - len(HEADER))
    content = compress(just_harmless, ending)
    assert [len(batch.rejects) for batch in read(content, f"x.csv.{ending}", Limits())] == [1]

    bomb = content + compress(b"1", ending)
    error = refusal(bomb, f"x.csv.{ending}", Limits())
    size = shown_bytes(len(bomb))
    assert error.found == f"more than 64 MiB in a compressed file of {size}"
    assert "200 times" in error.expected
    assert "MAX_COMPRESSION_RATIO" in error.expected

    wide = Limits(compression_ratio=100_000)
    assert [len(batch.rejects) for batch in read(bomb, f"x.csv.{ending}", wide)] == [1]


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_compressed_content_is_limited_in_all(ending: str) -> None:
    rows = HEADER + b"".join(b"%d,%d\n" % (k, k * k) for k in range(2_000))
    content = compress(rows, ending)
    assert sum(len(b.frame) for b in read(content, f"x.csv.{ending}", Limits())) == 2_000
    fits = Limits(uncompressed_bytes=len(rows))
    assert sum(len(b.frame) for b in read(content, f"x.csv.{ending}", fits)) == 2_000
    error = refusal(content, f"x.csv.{ending}", Limits(uncompressed_bytes=len(rows) - 1))
    assert "MAX_UNCOMPRESSED_BYTES" in error.expected
    # What is not compressed takes the room on the disk that it has already.
    plain = read(rows, "x.csv", Limits(uncompressed_bytes=1))
    assert sum(len(batch.frame) for batch in plain) == 2_000


def test_the_length_of_a_line_is_a_setting() -> None:
    content = HEADER + b"1,%b\n" % (b"x" * 9_000) + b'2,"\n%b"\n3,y\n' % (b"z\n" * 4_500)
    batches = read(content, "x.csv", Limits(line_bytes=8 << 10))
    rows = [row for batch in batches for row in batch.frame.rows()]
    assert [(row[0], *row[2:]) for row in rows] == [(4505, "3", "y")]
    assert [(r.line_number, r.reason) for b in batches for r in b.rejects][:2] == [
        (2, "a line longer than 8 KiB"),
        (3, "an unclosed quote"),
    ]
    longer = [
        row for b in read(content, "x.csv", Limits(line_bytes=10 << 10)) for row in b.frame.rows()
    ]
    assert [row[2] for row in longer] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b",".join(b"c%d" % k for k in range(301)) + b"\n", "x.csv"),
        (json.dumps({f"c{k}": 1 for k in range(301)}).encode() + b"\n", "x.jsonl"),
        (b"".join(b'{"c%d": 1}\n' % k for k in range(301)), "x.jsonl"),
    ],
    ids=["header", "keys of one object", "keys of many objects"],
)
def test_a_header_is_limited(content: bytes, name: str) -> None:
    error = refusal(content, name, Limits(columns=300))
    assert (error.found, error.expected) == (
        "a header of 301 columns",
        "at most 300 (MAX_COLUMNS)",
    )
    assert open_reader(io.BytesIO(content), name, limits=Limits(columns=301)).header[300] == "c300"


@pytest.mark.parametrize("line", [b"x", b'"', b'"a', b"1,2"])
def test_very_short_lines_are_read_in_batches_that_memory_can_hold(line: bytes) -> None:
    count = 70_000
    batches = read(HEADER + (line + b"\n") * count, "x.csv", Limits())
    assert max(len(batch.rejects) + len(batch.frame) for batch in batches) <= 40_000
    numbers = [reject.line_number for batch in batches for reject in batch.rejects]
    numbers += [number for batch in batches for number in batch.frame["line_number"]]
    if line != b'"':  # of these, two make a row of one field, and its second line is read again
        assert numbers == list(range(2, count + 2))
    assert sorted(set(numbers)) == list(range(2, count + 2))


def test_a_row_of_very_many_lines_goes_on_beyond_a_batch() -> None:
    field = b"\n" * 100_000
    batches = read(HEADER + b'1,"' + field + b'"\n2,y\n', "x.csv", Limits())
    rows = [row for batch in batches for row in batch.frame.rows()]
    assert rows == [(2, 1, "1", field.decode()), (100_003, 2, "2", "y")]
    assert [reject for batch in batches for reject in batch.rejects] == []


def test_short_objects_below_a_wide_one_are_read_in_batches_that_memory_can_hold() -> None:
    wide = json.dumps({f"c{k}": k for k in range(1_000)}).encode()
    batches = read(wide + b"\n" + b"{}\n" * 5_000 + b"[]\n", "x.jsonl", Limits())
    assert max(len(batch.frame) * 1_000 for batch in batches) <= MIB
    assert [n for b in batches for n in b.frame["line_number"]] == list(range(1, 5_002))
    assert [n for b in batches for n in b.frame["row_number"]] == list(range(1, 5_002))
    assert [(r.line_number, r.raw) for b in batches for r in b.rejects] == [(5_002, "[]")]
    assert batches[-1].raw_texts([5_001]) == ["{}"]


def test_damage_in_a_block_that_is_cut_stays_at_its_line() -> None:
    lines = [b'{"a": 1}'] * 80_000
    lines[50_000] = b'{"a": "\xff"}'
    lines[0] = '{"a": "é"}'.encode()
    batches = read(b"\n".join(lines), "x.jsonl", Limits())
    assert [r.line_number for b in batches for r in b.rejects] == [50_001]
    assert sum(len(batch.frame) for batch in batches) == 79_999


@pytest.mark.parametrize(
    ("size", "text"),
    [(1 << 30, "1 GiB"), (512 << 20, "512 MiB"), (4 << 10, "4 KiB"), (900, "900 bytes")],
)
def test_sizes_are_shown_as_they_are_set(size: int, text: str) -> None:
    assert shown_bytes(size) == text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\uff1d", "\uff20"])
def test_a_cell_that_a_spreadsheet_would_compute_is_marked_as_text(start: str) -> None:
    assert inert(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("cell", ["", " ", "1-1", "'=1", "a=b", "2023-01-01,-1", None, -5])
def test_any_other_cell_stays_as_it_is(cell: object) -> None:
    assert inert(cell) == cell
