"""JSON lines through the front door."""

from __future__ import annotations

import gzip
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import FileError
from app.readers import open_reader

Row = tuple[object, ...]


def read(
    content: bytes, name: str = "x.jsonl", block_bytes: int = 8 << 20
) -> tuple[tuple[str, ...], list[Row], list[tuple[int, str, str]]]:
    reader = open_reader(io.BytesIO(content), name, block_bytes=block_bytes)
    rows: list[Row] = []
    refused = []
    for batch in reader.batches([f"c{k}" for k in range(len(reader.header))]):
        rows += batch.frame.rows()
        refused += [(one.line_number, one.reason, one.raw) for one in batch.rejects]
    return reader.header, rows, refused


def test_values_keep_the_text_they_are_written_with() -> None:
    line = '{"a": 1.50, "b": 1e400, "c": 12345678901234567890, "d": true, "e": null, "f": " x"}'
    header, rows, refused = read(line.encode())
    assert header == ("a", "b", "c", "d", "e", "f")
    assert rows == [(1, 1, "1.50", "1e400", "12345678901234567890", "true", None, " x")]
    assert refused == []


def test_missing_and_empty_values_are_null() -> None:
    _, rows, _ = read(b'{"a": "x", "b": false}\n{"b": ""}\n{}\n')
    assert rows == [(1, 1, "x", "false"), (2, 2, None, None), (3, 3, None, None)]


def test_the_header_gathers_the_keys_of_the_first_thousand_lines() -> None:
    lines = ['{"a": 1}'] * 998 + ["broken", '{" b ": 2}', '{"c": 3}']
    header, rows, refused = read("\n".join(lines).encode())
    assert header == ("a", "b")
    assert rows[-1] == (1_000, 1_000, None, "2")
    assert refused == [
        (999, "not valid JSON (character 1)", "broken"),
        (1_001, "an unknown key 'c'", '{"c": 3}'),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a": [1]}', "a nested value under the key 'a'"),
        ('{"a": {"b": 1}}', "a nested value under the key 'a'"),
        ('{"a": ' + "[" * 100_000, "a nested value"),
        ("[1]", "not a JSON object"),
        ("7", "not a JSON object"),
        ('{"a": 1', "not valid JSON (character 8)"),
        ('{"a": 1} {"a": 2}', "not valid JSON (character 10)"),
        ('{"a": NaN}', "not valid JSON (NaN is not a JSON number)"),
        ('{"a": 1, "a": 1}', "the key 'a' stands twice"),
        ('{"a": "\\u0000"}', "a NUL character"),
        ('{"a": "\\ud800"}', "half of a character (a lone surrogate escape)"),
        ('{"a": "\0"}', "a NUL byte"),
        ('{"a": "' + "x" * (1 << 20) + '"}', "a line longer than 1 MiB"),
    ],
)
@pytest.mark.parametrize("block_bytes", [1_000, 8 << 20])
def test_a_damaged_line_costs_itself_only(line: str, reason: str, block_bytes: int) -> None:
    content = f'{{"a": 1}}\n\n{line}\r\n{{"a": 2}}'.encode()
    _, rows, refused = read(content, block_bytes=block_bytes)
    assert rows == [(1, 1, "1"), (4, 3, "2")]
    assert [(number, why) for number, why, _ in refused] == [(3, reason)]
    assert refused[0][2][:7] == line.replace("\0", "\\x00")[:7]
    assert len(refused[0][2]) <= 10_000


def test_bytes_that_do_not_decode_cost_their_line() -> None:
    content = '{"a": "é"}\n'.encode() + b'{"a": "\xff"}\n'
    _, rows, refused = read(content)
    assert rows == [(1, 1, "é")]
    assert refused == [(2, "bytes that do not decode as UTF-8", '{"a": "\\xff"}')]


def test_compressed_and_wide_text_is_read() -> None:
    content = gzip.compress('{"a": "é"}\r\n'.encode("utf-16"))
    assert read(content, "X.JSONL.GZ")[1] == [(1, 1, "é")]


def test_raw_texts_are_the_lines_of_the_kept_rows() -> None:
    reader = open_reader(io.BytesIO(b'{"a": 1}\n\nx\n{"a":2}\n'), "x.jsonl")
    (batch,) = reader.batches(["a"])
    assert batch.raw_texts([1, 4]) == ['{"a": 1}', '{"a":2}']
    assert batch.bytes_read == 20


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\n \n", "an empty file"),
        (b"[1]\n", "no line with a JSON object that has keys (not a JSON object)"),
        (b"{}\n", "no line with a JSON object that has keys (the objects are empty)"),
        (
            b"a,b\n" * 2_000 + b'{"a": 1}',
            "no line with a JSON object that has keys (not valid JSON (character 1))",
        ),
    ],
)
def test_a_file_without_objects_is_refused(content: bytes, found: str) -> None:
    with pytest.raises(FileError) as caught:
        open_reader(io.BytesIO(content), "x.jsonl")
    assert caught.value.found == found


@settings(deadline=None)
@given(
    table=st.lists(
        st.fixed_dictionaries(
            {"k": st.integers()},
            optional={
                "text": st.text(st.characters(codec="utf-8", exclude_characters="\0")),
                "none": st.none(),
            },
        ),
        min_size=1,
        max_size=10,
    ),
    only_ascii=st.booleans(),
    block_bytes=st.sampled_from([1, 7, 64, 8 << 20]),
)
def test_any_objects_read_back(
    table: list[dict[str, object]], only_ascii: bool, block_bytes: int
) -> None:
    content = "\n".join(json.dumps(row, ensure_ascii=only_ascii) for row in table)
    header, rows, refused = read(b"\xef\xbb\xbf" + content.encode(), block_bytes=block_bytes)
    expected = [
        (n, n, *(str(row[key]) if row.get(key) not in (None, "") else None for key in header))
        for n, row in enumerate(table, 1)
    ]
    assert set(header) == {key for row in table for key in row}
    assert rows == expected
    assert refused == []
