"""What holds for any table: it reads back as written, and damage never touches its neighbours."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.domain import Batch
from app.readers import frames, open_reader
from app.readers.structure import Shape

SHARED_FILES = Path(__file__).parents[4] / "shared" / "data"
Row = tuple[str | None, ...]

# The machine may be busy; how long one example takes says nothing.
unhurried = settings(deadline=None)

# In cp1252 none of these bytes go together to valid UTF-8, so that the encoding is not in doubt.
WESTERN = "éüßñÅ"
BLOCK_BYTES = st.sampled_from([1, 2, 3, 7, 16, 61, 256, 8 << 20])


def alphabet(encoding: str) -> st.SearchStrategy[str]:
    awkward = st.sampled_from('"",,;|\t\n\r ab019')
    if encoding == "cp1252":
        return st.one_of(awkward, st.sampled_from(WESTERN))
    unicode = st.characters(codec="utf-8", exclude_characters="\0")
    return st.one_of(awkward, unicode, st.just("\ufeff"))


@st.composite
def tables(draw: st.DrawFn, encoding: str) -> list[list[str]]:
    width = draw(st.integers(1, 5))
    field = st.text(alphabet(encoding), max_size=8)
    return draw(st.lists(st.lists(field, min_size=width, max_size=width), max_size=12))


def write_line(row: Sequence[str], delimiter: str = ",", quoting: int = csv.QUOTE_MINIMAL) -> str:
    """One row as Python writes it; the line end makes it quote both CR and LF."""
    written = io.StringIO(newline="")
    csv.writer(
        written,
        delimiter=delimiter,
        lineterminator="\r\n",
        quoting=quoting,  # type: ignore[arg-type]  # one of the csv module's constants
    ).writerow(row)
    return written.getvalue().removesuffix("\r\n")


def read(content: bytes, block_bytes: int, name: str = "x.csv") -> list[Batch]:
    reader = open_reader(io.BytesIO(content), name, block_bytes=block_bytes)
    return list(reader.batches([f"c{k}" for k in range(len(reader.header))]))


def rows_of(batches: list[Batch]) -> list[Row]:
    return [row[2:] for batch in batches for row in batch.frame.iter_rows()]


@unhurried
@given(
    data=st.data(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    delimiter=st.sampled_from(",;\t|"),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    quotes_all=st.booleans(),
    has_final_line_end=st.booleans(),
    block_bytes=BLOCK_BYTES,
)
def test_any_table_reads_back_as_it_was_written(
    data: st.DataObject,
    encoding: str,
    delimiter: str,
    line_end: str,
    quotes_all: bool,
    has_final_line_end: bool,
    block_bytes: int,
) -> None:
    table = data.draw(tables(encoding))
    width = len(table[0]) if table else 1
    quoting = csv.QUOTE_ALL if quotes_all else csv.QUOTE_MINIMAL
    lines = [
        write_line(row, delimiter, quoting) + line_end
        for row in [[f"name {k}" for k in range(width)], *table]
    ]
    text = "".join(lines)
    content = (text if has_final_line_end else text.removesuffix(line_end)).encode(encoding)
    batches = read(content, block_bytes)
    if line_end == "\r":
        # Where lines end with CR alone, so do the lines inside a field: all are given as LF.
        table = [[field.replace("\r", "\n") for field in row] for row in table]
    assert [reject for batch in batches for reject in batch.rejects] == []
    assert rows_of(batches) == [tuple(field or None for field in row) for row in table]
    numbers = [n for batch in batches for n in batch.frame["row_number"]]
    assert numbers == list(range(1, len(table) + 1))


@unhurried
@given(data=st.data(), line_end=st.sampled_from(["\n", "\r\n"]), block_bytes=BLOCK_BYTES)
def test_line_numbers_and_raw_texts_are_those_of_the_file(
    data: st.DataObject, line_end: str, block_bytes: int
) -> None:
    table = data.draw(tables("utf-8"))
    width = len(table[0]) if table else 1
    line_number, expected = 1, []
    pieces = [",".join(f"name {k}" for k in range(width)) + line_end]
    for row in table:
        line_number += pieces[-1].count("\n")
        expected.append((line_number, write_line(row)))
        pieces.append(write_line(row) + line_end)
    batches = read("".join(pieces).encode(), block_bytes)
    found = [
        (number, raw)
        for batch in batches
        for number, raw in zip(
            batch.frame["line_number"],
            batch.raw_texts(batch.frame["line_number"].to_list()),
            strict=True,
        )
    ]
    assert found == expected


DAMAGED = (
    b"one",
    b"one,two",
    b"1,2,3,4",
    b'"x"y,2,3',
    b'1,2,"3',
    b"1,\0,3",
    b"1,\xff,3",
    b'1,"\xff",3',
    b'"1","2"',
    b'1,2,"a""b""',
)
# A field that began with a line end or a delimiter could truly close a quote left open before it.
good_fields = st.one_of(
    st.text(st.sampled_from("abé0 "), max_size=5),
    st.text(st.sampled_from('ab,;\n"é'), max_size=6).map(lambda text: f"a{text}a"),
)
good_rows = st.tuples(good_fields, good_fields, good_fields)


@unhurried
@given(
    rows=st.lists(st.one_of(good_rows, st.sampled_from(DAMAGED)), max_size=25),
    line_end=st.sampled_from(["\n", "\r\n"]),
    block_bytes=BLOCK_BYTES,
)
def test_damaged_lines_are_refused_and_no_other(
    rows: list[tuple[str, str, str] | bytes], line_end: str, block_bytes: int
) -> None:
    # The mark keeps the encoding out of doubt, however many lines do not decode.
    content = b"\xef\xbb\xbfa,b,c" + line_end.encode()
    good, bad = [], []
    line_number = 2
    for row_number, row in enumerate(rows, 1):
        if isinstance(row, bytes):
            line = row
            bad.append(line_number)
        else:
            line = write_line(row).encode()
            good.append((line_number, row_number, *(field or None for field in row)))
        content += line + line_end.encode()
        line_number += line.count(b"\n") + 1
    batches = read(content, block_bytes)
    assert [row for batch in batches for row in batch.frame.iter_rows()] == good
    assert [reject.line_number for batch in batches for reject in batch.rejects] == bad


@unhurried
@given(content=st.binary(max_size=60), block_bytes=BLOCK_BYTES)
def test_any_bytes_are_read_whatever_the_size_of_blocks(content: bytes, block_bytes: int) -> None:
    whole = b"\xef\xbb\xbfa,b\n" + content
    at_once, in_blocks = read(whole, 8 << 20), read(whole, block_bytes)
    assert rows_of(in_blocks) == rows_of(at_once)
    assert [r for b in in_blocks for r in b.rejects] == [r for b in at_once for r in b.rejects]


@unhurried
@given(lines=st.lists(st.text(st.sampled_from('",ab\n'), max_size=12), max_size=12))
def test_any_mix_of_quotes_accounts_for_every_line(lines: list[str]) -> None:
    content = "a,b,c\n" + "".join(line + "\n" for line in lines)
    covered: list[int] = []
    for batch in read(content.encode(), 16):
        raws = batch.raw_texts(batch.frame["line_number"].to_list())
        for number, raw in zip(batch.frame["line_number"], raws, strict=True):
            covered += range(number, number + raw.count("\n") + 1)
        covered += [reject.line_number for reject in batch.rejects]
    blank = [n for n, line in enumerate(content.split("\n"), 1) if not line]
    lacking = set(range(2, content.count("\n") + 1)) - set(covered)
    assert len(covered) == len(set(covered))
    assert lacking <= set(blank)


@unhurried
@given(data=st.data(), delimiter=st.sampled_from(",;\t|\0"))
def test_the_careful_parser_gives_what_the_fast_one_gives(
    data: st.DataObject, delimiter: str
) -> None:
    table = data.draw(tables("utf-8"))
    assume(table)
    quoted = [['"' + field.replace('"', '""') + '"' for field in row] for row in table]
    text = "".join(delimiter.join(row) + "\n" for row in quoted).encode()
    names = [f"c{k}" for k in range(len(table[0]))]
    shape = Shape(ord(delimiter), len(names))
    expected = pl.DataFrame(
        [[field or None for field in row] for row in table],
        schema=dict.fromkeys(names, pl.String),
        orient="row",
    )
    assert frames.parse_by_scanner(text, shape, names).equals(expected)
    assert frames.parse_by_polars(text, shape, names).equals(expected)


def test_rows_that_polars_counts_otherwise_are_parsed_carefully() -> None:
    """A row too many for the count stands for any disagreement between the two."""
    frame = frames.parse_rows(b'1,"x\ny"\n2,z\n', Shape(ord(","), 2), None, ["a", "b"], 3)
    assert frame.rows() == [("1", "x\ny"), ("2", "z")]


@pytest.mark.parametrize("name", ["2019_free_title_data_head.csv", "loans.csv"])
@pytest.mark.parametrize("block_bytes", [100, 8 << 20])
def test_the_shared_files_read_as_pythons_own_parser_reads_them(
    name: str, block_bytes: int
) -> None:
    path = SHARED_FILES / name
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the project; it may be read but not copied")
    with path.open(encoding="utf-8", newline="") as file:
        header, *expected = csv.reader(file)
    with path.open("rb") as source:
        reader = open_reader(source, name, block_bytes=block_bytes)
        assert reader.header == tuple(name.strip() for name in header)
        batches = list(reader.batches([f"c{k}" for k in range(len(header))]))
    assert [reject for batch in batches for reject in batch.rejects] == []
    assert rows_of(batches) == [tuple(field or None for field in row) for row in expected]
