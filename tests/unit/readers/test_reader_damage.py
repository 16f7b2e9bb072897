"""Structural damage costs its own line, and whole-file trouble says what to do."""

from __future__ import annotations

import gzip
import io
import tracemalloc

import pytest
import zstandard

from app.errors import FileError
from app.readers import Limits, open_reader

Refused = tuple[int, str, str]
ENDINGS = {"gzip": "gz", "zstd": "zst"}


def read(
    content: bytes, name: str = "x.csv", block_bytes: int = 8 << 20
) -> tuple[list[tuple[object, ...]], list[Refused]]:
    reader = open_reader(io.BytesIO(content), name, block_bytes=block_bytes)
    rows: list[tuple[object, ...]] = []
    refused: list[Refused] = []
    for batch in reader.batches([f"c{k}" for k in range(len(reader.header))]):
        rows += batch.frame.rows()
        refused += [(one.line_number, one.reason, one.raw) for one in batch.rejects]
        assert all(one.column_name is None for one in batch.rejects)
    return rows, refused


@pytest.mark.parametrize(
    ("line", "reason", "raw"),
    [
        (b"1,2,3", "3 fields, expected 4", "1,2,3"),
        (b"1", "1 field, expected 4", "1"),
        (b"1,2,3,4,5", "5 fields, expected 4", "1,2,3,4,5"),
        (b'"1,2",3,4', "3 fields, expected 4", '"1,2",3,4'),
        (b'"1"x,2,3,4', "text after a closing quote", '"1"x,2,3,4'),
        (b'1,2,3,"4" ', "text after a closing quote", '1,2,3,"4" '),
        (b'1,2,3,"4', "an unclosed quote", '1,2,3,"4'),
        (b'"1,2,3,4', "an unclosed quote", '"1,2,3,4'),
        (b"1,2\0,3,4", "a NUL byte", "1,2\\x00,3,4"),
        (b'1,"2\0",3,4', "a NUL byte", '1,"2\\x00",3,4'),
        (b"1,\xff,3,4", "bytes that do not decode as UTF-8", "1,\\xff,3,4"),
        (b'1,"\xc3",3,4', "bytes that do not decode as UTF-8", '1,"\\xc3",3,4'),
    ],
)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("quoted_neighbours", [False, True])
def test_damage_costs_exactly_its_own_line(
    line: bytes, reason: str, raw: str, line_end: bytes, quoted_neighbours: bool
) -> None:
    good = '"é","b","c","d"' if quoted_neighbours else "é,b,c,d"
    content = line_end.join([b"w,x,y,z", good.encode(), line, good.encode(), good.encode(), b""])
    rows, refused = read(content)
    assert rows == [(n, n - 1, "é", "b", "c", "d") for n in (2, 4, 5)]
    assert refused == [(3, reason, raw)]


def test_a_row_over_lines_with_the_wrong_count_costs_its_first_line_only() -> None:
    rows, refused = read(b'a,b\n1,"x\n2,3\n",z\n4,5\n')
    assert rows == [(3, 2, "2", "3"), (5, 4, "4", "5")]
    assert [(number, raw) for number, _, raw in refused] == [(2, '1,"x'), (4, '",z')]


def test_a_short_row_over_lines_says_how_far_it_runs() -> None:
    _, refused = read(b'a,b,c\n1,"x\ny"\n4,5,6\n')
    assert refused[0] == (2, "a row over 2 lines with 2 fields, expected 3", '1,"x')


def test_a_sound_row_over_lines_with_a_nul_byte_is_one_reject() -> None:
    rows, refused = read(b'a,b\n"x\ny\0\nz",1\n2,3\n')
    assert rows == [(5, 2, "2", "3")]
    assert refused == [(2, "a NUL byte", '"x\ny\\x00\nz",1')]


def test_an_unclosed_quote_at_the_end_costs_one_line() -> None:
    rows, refused = read(b'a,b\n1,"2\n3,4\n5,6')
    assert rows == [(3, 2, "3", "4"), (4, 3, "5", "6")]
    assert refused == [(2, "an unclosed quote", '1,"2')]


def test_an_unclosed_quote_is_given_up_after_a_mebibyte() -> None:
    filler = b"y" * 99 + b",z\n"
    content = b'a,b\n1,"2\n' + filler * 30_000 + b'3,4"\n5,6\n'
    rows, refused = read(content, block_bytes=256 << 10)
    assert len(rows) == 30_002
    assert rows[-1] == (30_004, 30_003, "5", "6")
    assert refused == [(2, "an unclosed quote", '1,"2')]


@pytest.mark.parametrize("block_bytes", [4_096, 8 << 20])
def test_an_overlong_line_is_refused_and_not_held(block_bytes: int) -> None:
    content = gzip.compress(b"a,b\n1,2\nx" + "é".encode() * (20 << 20) + b",x\n3,\xc3\xa4\n")
    tracemalloc.start()
    rows, refused = read(content, "x.csv.gz", block_bytes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == [(2, 1, "1", "2"), (4, 3, "3", "ä")]
    ((line_number, reason, raw),) = refused
    assert (line_number, reason, len(raw)) == (3, "a line longer than 1 MiB", 10_000)
    assert raw.startswith("xéé")
    assert raw.endswith("(shortened)")
    assert peak < 34 << 20


def test_a_long_raw_text_is_shortened_with_a_mark() -> None:
    reader = open_reader(io.BytesIO(b"a,b\n1," + b"x" * 20_000 + b"\n2,y\n"), "x.csv")
    (batch,) = reader.batches("ab")
    long, short = batch.raw_texts([2, 3])
    assert long == "1," + "x" * (10_000 - 2 - len("… (shortened)")) + "… (shortened)"
    assert short == "2,y"
    assert batch.raw_texts([3, 3]) == ["2,y", "2,y"]


def test_cp1252_lines_with_undefined_bytes_are_refused() -> None:
    rows, refused = read(b"a,b\n\xe9,1\n\x81,2\n\xfc,3\n")
    assert rows == [(2, 1, "é", "1"), (4, 3, "ü", "3")]
    assert refused == [(3, "bytes that do not decode as Windows-1252", "\\x81,2")]


@pytest.mark.parametrize("damage", [b"\x00\xd8", b"\x00\xdc"])
def test_half_characters_in_utf16_are_refused(damage: bytes) -> None:
    content = "a,b\n1,".encode("utf-16-le") + damage + "\n2,3\n".encode("utf-16-le") + b"x"
    rows, refused = read(b"\xff\xfe" + content, block_bytes=3)
    assert rows == [(3, 2, "2", "3")]
    assert [(n, reason) for n, reason, _ in refused] == [
        (2, "bytes that do not decode as UTF-16"),
        (4, "bytes that do not decode as UTF-16"),
    ]


def test_nul_in_a_file_of_one_column_is_refused() -> None:
    rows, refused = read(b'a\nx\ny\0z\n"q\0"\nw\n')
    assert rows == [(2, 1, "x"), (5, 4, "w")]
    assert [(n, reason) for n, reason, _ in refused] == [(3, "a NUL byte"), (4, "a NUL byte")]


@pytest.mark.parametrize(
    "line", [b'x,"\n', b'a","b\n', b'"",""x\n', b'x,"""\n', b'","\n', b'"\n', b'""""x",y"\n']
)
def test_a_file_of_nothing_but_stray_quotes_is_read_to_its_end(line: bytes) -> None:
    count = 20_000
    rows, refused = read(b"a,b\n" + line * count + b"1,2\n")
    assert len(rows) + len(refused) > count / 3
    assert rows[-1][0] == count + 2
    assert rows[-1][2:] == ("1", "2")


@pytest.mark.parametrize(
    ("content", "name", "found"),
    [
        (b"", "x.csv", "an empty file"),
        (b"\n\r\n\n", "x.csv", "an empty file"),
        (b"\xef\xbb\xbf", "x.csv", "an empty file"),
        (b"", "x.csv.gz", "an empty file"),
        (gzip.compress(b"", mtime=0), "x.csv.gz", "an empty file"),
        (b"", "x.jsonl", "an empty file"),
        (b"\n" * (3 << 20), "x.csv", "nothing but blank lines in the first 1 MiB"),
        (b'a,"b\n1,2\n', "x.csv", "a header with an unclosed quote"),
        (b'a,"b"c\n1,2\n', "x.csv", "a header with text after a closing quote"),
        (b"a,\0b\n1,2\n", "x.csv", "a header with a NUL byte: the file is not plain text"),
        (b'a,"\n\0b"\n1,2\n', "x.csv", "a header with a NUL byte"),
        (b"a,\x81\n1,2\n", "x.csv", "a header with bytes that do not decode as Windows-1252"),
        (b"a,\xe9\n\xc3\xa9,1\n", "x.csv", "a header with bytes that do not decode as UTF-8"),
        (
            b"PK\x03\x04rest",
            "x.csv",
            "a zip archive or an Excel workbook under the name of a text file",
        ),
        (b"\x1f\x8b\x08rest", "x.csv", "gzip-compressed data under the name of a text file"),
        (b"\x28\xb5\x2f\xfdrest", "x.txt", "zstd-compressed data under the name of a text file"),
        (b"PAR1\x15\x04", "x.csv", "a Parquet file under the name of a text file"),
        (b"%PDF-1.7\n", "x.csv", "a PDF document under the name of a text file"),
        (b"SQLite format 3\0", "x.csv", "an SQLite database under the name of a text file"),
        (
            b"<!DOCTYPE html>\n",
            "x.csv",
            "a web page or an XML document under the name of a text file",
        ),
        (
            gzip.compress(b"%PDF-1.7\n", mtime=0),
            "x.csv.gz",
            "a PDF document under the name of a text file",
        ),
        (b'{"a": 1, "b": 2}\n', "x.csv", "JSON under the name of a delimited text file"),
        (b"[\n{", "x.csv", "JSON under the name of a delimited text file"),
        (b"a,b\n1,2\n", "x.csv.gz", "content that is not gzip-compressed"),
        (b"a,b\n1,2\n", "x.csv.zst", "content that is not zstd-compressed"),
        (gzip.compress(b"a,b\n", mtime=0), "x.csv.zst", "gzip-compressed data"),
        (b"a,b\n", "x.xlsx", "a file named x.xlsx"),
        (b"a,b\n", "x.parquet.gz", "a file named x.parquet.gz"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_refused(
    content: bytes, name: str, found: str
) -> None:
    with pytest.raises(FileError) as caught:
        open_reader(io.BytesIO(content), name)
    assert caught.value.found == found
    assert caught.value.expected
    assert caught.value.remedy


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
@pytest.mark.parametrize("broken", ["cut off", "damaged", "with rubbish behind"])
def test_compressed_data_that_ends_badly_is_refused_when_reached(codec: str, broken: str) -> None:
    text = b"a,b\n" + b"".join(b"%d,%d\n" % (k, k * k) for k in range(200_000))
    whole = compress(text, codec)
    content = {
        "cut off": whole[:-5],
        "damaged": whole[: len(whole) // 2] + bytes(64) + whole[len(whole) // 2 + 64 :],
        "with rubbish behind": whole + b"rubbish",
    }[broken]
    reader = open_reader(io.BytesIO(content), f"x.csv.{ENDINGS[codec]}", block_bytes=16 << 10)
    batches = reader.batches(["a", "b"])
    assert next(batches).frame.row(0) == (2, 1, "0", "0")
    with pytest.raises(FileError) as caught:
        list(batches)
    assert caught.value.found == "compressed data that is cut off or damaged"


def compress(content: bytes, codec: str) -> bytes:
    if codec == "gzip":
        return gzip.compress(content)
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


@pytest.mark.parametrize(("codec", "ending"), [("gzip", "gz"), ("zstd", "ZST")])
@pytest.mark.parametrize("block_bytes", [5, 1 << 20])
def test_compressed_text_is_read_through_all_its_parts(
    codec: str, ending: str, block_bytes: int
) -> None:
    parts = (b"a,b\n1,2\n3", b"", b",4\n5,6\n")
    content = b"".join(compress(part, codec) for part in parts)
    rows, refused = read(content, f"x.csv.{ending}", block_bytes)
    assert rows == [(2, 1, "1", "2"), (3, 2, "3", "4"), (4, 3, "5", "6")]
    assert refused == []


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_highly_compressed_text_is_read_in_bounded_memory(codec: str) -> None:
    content = compress(b"a,b\n" + b"1,2\n" * (16 << 20), codec)
    reader = open_reader(
        io.BytesIO(content),
        f"x.csv.{ENDINGS[codec]}",
        block_bytes=256 << 10,
        limits=Limits(compression_ratio=100_000),
    )
    row_count = largest = 0
    for batch in reader.batches(["a", "b"]):
        row_count += batch.frame.height
        largest = max(largest, batch.frame.height)
    assert row_count == 16 << 20
    assert largest <= 65_537


def test_a_disk_that_fails_is_not_the_files_fault() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 100_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    rows = b"".join(b"%d,%d\n" % (k, k * k) for k in range(200_000))
    content = gzip.compress(b"a,b\n" + rows)
    reader = open_reader(Failing(content), "x.csv.gz", block_bytes=64 << 10)
    with pytest.raises(OSError, match="Input/output error"):
        list(reader.batches(["a", "b"]))


def test_the_callers_file_stays_open() -> None:
    for content, name in ((b"a,b\n", "x.csv"), (gzip.compress(b"a,b\n1,2\n"), "x.csv.gz")):
        source = io.BytesIO(content)
        list(open_reader(source, name).batches("ab"))
        assert not source.closed
