"""Messages: what is written is read again, and what is none of them says why."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.readers.jsonl import LineError
from app.sources.messages import COLUMNS, FIELDS, KEYS, Message, as_batch, encode, read_fields

texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
rows = st.lists(st.tuples(*[texts for _ in FIELDS]), min_size=1, max_size=5)


def message(value: bytes | None, version: bytes | None = b"1", offset: int = 0) -> Message:
    return Message(0, offset, value, version)


def read(value: str) -> list[str | None]:
    return list(read_fields(message(value.encode())))


@given(rows)
def test_rows_come_back_as_they_were(given_rows: list[tuple[str, ...]]) -> None:
    frame = pl.DataFrame(given_rows, dict.fromkeys(COLUMNS, pl.String), orient="row")
    sent = list(encode(frame))

    batch = as_batch([message(value.encode()) for _key, value in sent])

    assert [json.loads(value) for _key, value in sent] == [
        dict(zip(KEYS, row, strict=True)) for row in given_rows
    ]
    assert [key for key, _value in sent] == [row[5] for row in given_rows]
    assert batch.frame.select(COLUMNS).rows() == [
        tuple(text or None for text in row) for row in given_rows
    ]
    assert batch.frame["line_number"].to_list() == list(range(1, len(given_rows) + 1))
    assert batch.rejects == []


@given(st.permutations(KEYS), st.booleans())
def test_order_of_fields_and_the_way_of_writing_do_not_matter(
    keys: list[str], escaped: bool
) -> None:
    row = {key: f"{key} ü" for key in keys}

    assert read(json.dumps(row, ensure_ascii=escaped, indent=2)) == [f"{key} ü" for key in KEYS]


odd_texts = st.text(
    st.sampled_from(['"', "\\", ",", ":", " ", "\n", "\t", "\x00", "\x7f", "ü", "x", "{"])
)


@given(
    st.tuples(*[odd_texts for _ in KEYS]),
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :")]),
    st.tuples(st.integers(0, 400), odd_texts),
)
@example(("x",) * len(KEYS), False, (",", ":"), (len('{"Amount Requested":"x'), "\n"))
@example(("x",) * len(KEYS), False, (",", ":"), (len('{"Amount Requested":"x'), "\x00"))
def test_messages_are_read_at_once_as_they_are_one_by_one(
    row: tuple[str, ...], escaped: bool, separators: tuple[str, str], broken: tuple[int, str]
) -> None:
    whole = json.dumps(
        dict(zip(KEYS, row, strict=True)), ensure_ascii=escaped, separators=separators
    )
    position, odd = broken
    texts = [whole, whole[:position] + odd + whole[position:]]

    batch = as_batch([message(text.encode()) for text in texts])

    rows, reasons = [], []
    for number, text in enumerate(texts, 1):
        try:
            rows.append((number, number, *read(text)))
        except LineError as error:
            reasons.append((number, str(error)))
    assert batch.frame.rows() == rows
    assert [(each.line_number, each.reason) for each in batch.rejects] == reasons


def test_null_and_nothing_are_the_same_and_a_number_is_its_text() -> None:
    row = dict.fromkeys(KEYS, "x") | {"State": None, "Zip Code": "", "Policy Code": 0}
    text = json.dumps(row).replace('"Policy Code": 0', '"Policy Code": 0.50')

    fields = dict(zip(KEYS, read(text), strict=True))

    assert (fields["State"], fields["Zip Code"], fields["Policy Code"]) == (None, None, "0.50")


@pytest.mark.parametrize(
    ("value", "version", "reason"),
    [
        (b"{}", None, "no header 'schema-version', expected 1"),
        (b"{}", b"11", "schema version '11', expected 1"),
        (b"{}", b"\xff", "schema version '\\\\xff', expected 1"),
        (None, b"1", "a message without a value (a tombstone)"),
        (b"{}", b"1", "no field 'Amount Requested'"),
        (b"null", b"1", "not a JSON object"),
        (b"\xc3", b"1", "bytes that do not decode as UTF-8"),
    ],
)
def test_what_is_no_message_of_this_schema_says_why(
    value: bytes | None, version: bytes | None, reason: str
) -> None:
    with pytest.raises(LineError) as refused:
        read_fields(message(value, version))

    assert str(refused.value) == reason


def test_rejects_and_rows_are_numbered_as_they_arrived() -> None:
    good = json.dumps(dict.fromkeys(KEYS, "x"))
    of_another_version = message(good.encode(), b"2")

    batch = as_batch(
        [
            *(message(b"bad"), message(good.encode()), message(None), message(b"\xff")),
            *(of_another_version, message(good.encode())),
        ]
    )

    assert [(each.line_number, each.raw) for each in batch.rejects] == [
        *((1, "bad"), (3, ""), (4, "\\xff"), (5, good))
    ]
    assert batch.frame["line_number"].to_list() == [2, 6]
    assert batch.raw_texts([2, 6]) == [good, good]
