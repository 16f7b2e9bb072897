"""Delimited text through the front door: dialects, encodings, line ends and blank lines."""

from __future__ import annotations

import io

import polars as pl
import pytest

from app.domain import Batch
from app.readers import open_reader

Row = tuple[str | None, ...]


def read(content: bytes, name: str = "x.csv", block_bytes: int = 8 << 20) -> list[Batch]:
    reader = open_reader(io.BytesIO(content), name, block_bytes=block_bytes)
    return list(reader.batches([f"c{k}" for k in range(len(reader.header))]))


def read_rows(content: bytes, name: str = "x.csv", block_bytes: int = 8 << 20) -> list[Row]:
    return [
        row[2:] for batch in read(content, name, block_bytes) for row in batch.frame.iter_rows()
    ]


def header_of(content: bytes, name: str = "x.csv") -> tuple[str, ...]:
    return open_reader(io.BytesIO(content), name).header


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_the_delimiter(delimiter: str) -> None:
    content = f"a{delimiter}b{delimiter}c\n1,;|x{delimiter}2{delimiter}3\n"
    content = content.replace(f"1,;|x{delimiter}", f"1x{delimiter}")
    assert header_of(content.encode()) == ("a", "b", "c")
    assert read_rows(content.encode()) == [("1x", "2", "3")]


def test_delimiters_inside_quotes_do_not_count_for_the_choice() -> None:
    assert header_of(b'"a,b,c,d";e\n') == ("a,b,c,d", "e")


def test_a_tsv_file_prefers_the_tab() -> None:
    assert header_of(b"a, b, c\td\n", "x.TSV") == ("a, b, c", "d")
    assert header_of(b"a,b\n", "x.tsv") == ("a", "b")


def test_a_header_without_a_delimiter_is_a_file_of_one_column() -> None:
    content = b'name\nx,y\n"q\nr"\n5" s\n""\n\nlast'
    assert read_rows(content) == [("x,y",), ("q\nr",), ('5" s',), (None,), ("last",)]


def test_header_names_are_stripped_and_may_be_missing_or_run_over_lines() -> None:
    assert header_of(b' a ,,"b\nc", "\n1,2,3,4\n') == ("a", "", "b\nc", '"')


def test_a_header_over_lines_shifts_the_line_numbers() -> None:
    (batch,) = read(b'\n"a\nb",c\n1,2\n')
    assert batch.frame["line_number"].to_list() == [4]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block_bytes", [1, 7, 1 << 20])
def test_every_line_end_is_read(line_end: str, block_bytes: int) -> None:
    content = line_end.join(["a,b", "1,", "", '"x","y"', ",2"]).encode()
    batches = read(content, block_bytes=block_bytes)
    assert pl.concat(batch.frame for batch in batches).rows() == [
        (2, 1, "1", None),
        (4, 2, "x", "y"),
        (5, 3, None, "2"),
    ]
    assert [raw for b in batches for raw in b.raw_texts(b.frame["line_number"].to_list())] == [
        "1,",
        '"x","y"',
        ",2",
    ]


@pytest.mark.parametrize(
    "content",
    [
        "a,b\nñ,日本\n".encode(),
        "a,b\nñ,日本\n".encode("utf-8-sig"),
        "a,b\nñ,日本\n".encode("utf-16"),
        b"\xfe\xff" + "a,b\nñ,日本\n".encode("utf-16-be"),
        "a,b\nñ,日本\n".encode("utf-16-le"),
        "a,b\nñ,日本\n".encode("utf-16-be"),
    ],
    ids=["utf-8", "utf-8-sig", "utf-16", "utf-16-be-bom", "utf-16-le-bare", "utf-16-be-bare"],
)
@pytest.mark.parametrize("block_bytes", [1, 3, 1 << 20])
def test_unicode_encodings_are_told_apart(content: bytes, block_bytes: int) -> None:
    assert header_of(content) == ("a", "b")
    assert read_rows(content, block_bytes=block_bytes) == [("ñ", "日本")]


def test_text_that_is_not_utf8_is_cp1252() -> None:
    content = "prénom,€\n1,2\nZoë,“x”\n".encode("cp1252")
    assert header_of(content) == ("prénom", "€")
    assert read_rows(content) == [("1", "2"), ("Zoë", "“x”")]


def test_the_first_block_that_is_not_ascii_settles_the_encoding() -> None:
    content = b"a,b\n" + b"1,2\n" * 100 + "é,ü\n".encode("cp1252") * 3
    assert read_rows(content, block_bytes=64)[100:] == [("é", "ü")] * 3


def test_an_empty_field_is_null_quoted_or_not() -> None:
    assert read_rows(b'a,b,c\nx,,y\nx,"",y\n,,\n') == [
        ("x", None, "y"),
        ("x", None, "y"),
        (None, None, None),
    ]


def test_field_text_is_left_as_it_is() -> None:
    content = ' x , "y" ,"\ufeffz"\n\ufeff1,#2,null\n'
    assert read_rows(("a,b,c\n" + content).encode()) == [
        (" x ", ' "y" ', "\ufeffz"),
        ("\ufeff1", "#2", "null"),
    ]


def test_a_byte_order_mark_at_the_start_of_a_row_is_text() -> None:
    assert read_rows("a,b\n\ufeff1,2\n".encode()) == [("\ufeff1", "2")]


def test_quoted_line_breaks_and_doubled_quotes_are_text() -> None:
    content = b'a,b\n"1\r\n2","say ""hi"""\n"""",""""""\n'
    assert read_rows(content) == [("1\r\n2", 'say "hi"'), ('"', '""')]


def test_a_quote_inside_an_unquoted_field_is_text() -> None:
    content = b'a,b\n19" monitor,1\nx,y"\n"q","r"\n'
    assert read_rows(content) == [('19" monitor', "1"), ("x", 'y"'), ("q", "r")]


def test_a_row_over_lines_crosses_block_ends() -> None:
    content = b'a,b\n1,"' + b"line\n" * 50 + b'end"\n2,3\n'
    for block_bytes in (1, 2, 16, 100):
        batches = read(content, block_bytes=block_bytes)
        rows = pl.concat(batch.frame for batch in batches).rows()
        assert rows == [(2, 1, "1", "line\n" * 50 + "end"), (53, 2, "2", "3")]


def test_blank_lines_are_passed_over_but_keep_their_line_numbers() -> None:
    (batch,) = read(b"\n\na,b\n\n1,2\n\r\n   \n3,4\n\n")
    assert batch.frame.rows() == [(5, 1, "1", "2"), (8, 2, "3", "4")]
    assert batch.rejects == []


def test_a_header_alone_is_a_file_without_rows() -> None:
    for content in (b"a,b", b"a,b\n", b"a,b\r\n\r\n"):
        assert header_of(content) == ("a", "b")
        assert read(content) == []


def test_frames_hold_the_numbers_and_one_text_column_per_name() -> None:
    reader = open_reader(io.BytesIO(b"a,a\n1,\n"), "x.txt")
    (batch,) = reader.batches(["first", "second"])
    assert batch.frame.schema == {
        "line_number": pl.Int64,
        "row_number": pl.Int64,
        "first": pl.String,
        "second": pl.String,
    }


def test_batches_can_be_asked_for_again() -> None:
    reader = open_reader(io.BytesIO(b"a,b\n1,2\n"), "x.csv")
    first, second = ([batch.frame.rows() for batch in reader.batches("ab")] for _ in range(2))
    assert first == second == [[(2, 1, "1", "2")]]


def test_bytes_read_follow_the_stored_file() -> None:
    content = b"a,b\n" + b"1,2\n" * 1_000
    reached = [batch.bytes_read for batch in read(content, block_bytes=1_024)]
    assert reached == sorted(reached)
    assert reached[0] <= 2_048
    assert reached[-1] == len(content)
