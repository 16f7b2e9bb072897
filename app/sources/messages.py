"""Risk scores as messages: their schema, rows to messages, and messages to a batch of rows.

`docs/risk-score-messages.md` is the schema in words; `produce` writes them, `stream` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from app.domain import Batch, Reject
from app.readers import raw_text
from app.readers.jsonl import LineError, parse_line

VERSION_HEADER = "schema-version"
VERSION = b"1"
# Of version 1: each field's key, and its column. A field that comes or goes is a new version.
FIELDS: Mapping[str, str] = {
    "Amount Requested": "amount_requested",
    "Application Date": "application_date",
    "Loan Title": "loan_title",
    "Risk_Score": "risk_score",
    "Debt-To-Income Ratio": "debt_to_income",
    "Zip Code": "zip_code",
    "State": "state",
    "Employment Length": "employment_length",
    "Policy Code": "policy_code",
}
KEYS = tuple(FIELDS)
COLUMNS = tuple(FIELDS.values())
KEY_COLUMN = "zip_code"
SCHEMA = {
    "line_number": pl.Int64,
    "row_number": pl.Int64,
    **dict.fromkeys(COLUMNS, pl.String),
}

Pairs = list[tuple[str, object]]
Fields = Sequence[str | None]
# Pairs as they stand, so that a key that stands twice is seen; one decoder for all messages.
DECODER = json.JSONDecoder(object_pairs_hook=lambda pairs: pairs)
# What programs write where no text needs an escape: the fields in their order, with blanks or not.
PLAIN_TEXT = r'[^"\\\x00-\x1f]*'
PLAIN = ", ?".join(f'"{key}": ?"(?P<{column}>{PLAIN_TEXT})"' for key, column in FIELDS.items())


# A tuple, as making a dataclass takes longer than all else that is done to a message here.
class Message(NamedTuple):
    """One message of a topic. version: of its schema, as the header says; None without one."""

    partition: int
    offset: int
    value: bytes | None
    version: bytes | None


def encode(frame: pl.DataFrame) -> Iterator[tuple[str | None, str]]:
    """Gives each row's key and message; the columns of the frame are those of `FIELDS`, as text."""
    columns = [pl.col(column).fill_null("").alias(key) for key, column in FIELDS.items()]
    values = frame.select(pl.struct(columns).struct.json_encode()).to_series()
    return zip(frame[KEY_COLUMN].to_list(), values.to_list(), strict=True)


def as_batch(messages: Sequence[Message]) -> Batch:
    """Gives messages as rows; line and row numbers are their positions, from 1.

    What is no message of this schema is a reject. Blocks.
    """
    frame = read_plain_ones(messages)
    is_plain = frame[COLUMNS[0]].is_not_null()
    others, rejects = read_others(messages, frame["line_number"].filter(~is_plain))
    text = pl.col(COLUMNS)
    frame = frame.filter(is_plain).with_columns(pl.when(text != "").then(text))
    if len(others):
        frame = pl.concat([frame, others]).sort("line_number")
    return Batch(
        frame=frame,
        rejects=rejects,
        raw_texts=lambda chosen: [shown(messages[number - 1]) for number in chosen],
        bytes_read=0,
    )


def read_plain_ones(messages: Sequence[Message]) -> pl.DataFrame:
    """Reads all messages at once, five times as fast as one by one.

    Gives a row for each, of nulls for those that are not plain.
    """
    text = pl.Series([text_of(each) for each in messages], dtype=pl.String)
    fields = text.str.extract_groups(rf"^\{{{PLAIN}\}}$").struct.unnest()
    number = pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
    return fields.select(number.alias("line_number"), number.alias("row_number"), *COLUMNS)


def text_of(message: Message) -> str | None:
    """Gives the text of a message of this schema's version; None where there is none."""
    if message.version != VERSION or message.value is None:
        return None
    try:
        return message.value.decode()
    except UnicodeDecodeError:
        return None


def read_others(
    messages: Sequence[Message], numbers: Iterable[int]
) -> tuple[pl.DataFrame, list[Reject]]:
    """Reads the messages with these numbers one by one."""
    rows: list[tuple[int | str | None, ...]] = []
    rejects: list[Reject] = []
    for number in numbers:
        message = messages[number - 1]
        try:
            rows.append((number, number, *read_fields(message)))
        except LineError as error:
            rejects.append(Reject(number, None, str(error), shown(message)))
    return pl.DataFrame(rows, SCHEMA, orient="row"), rejects


def shown(message: Message) -> str:
    """Gives a message's text, fit to be stored."""
    return raw_text.show_bytes(message.value or b"", "utf-8")


def read_fields(message: Message) -> Fields:
    """Gives the fields in the order of `FIELDS`, empty ones as None; raises LineError."""
    if message.version != VERSION:
        raise LineError(reason_against_version(message.version))
    if message.value is None:
        raise LineError("a message without a value (a tombstone)")
    try:
        text = message.value.decode()
    except UnicodeDecodeError as error:
        raise LineError("bytes that do not decode as UTF-8") from error
    return read_plain(text) or read_patiently(text)


def reason_against_version(version: bytes | None) -> str:
    """Says what is wrong with the header that names the schema's version."""
    expected = f"expected {VERSION.decode()}"
    if version is None:
        return f"no header {VERSION_HEADER!r}, {expected}"
    return f"schema version {raw_text.show_bytes(version[:40], 'utf-8')!r}, {expected}"


def read_plain(text: str) -> Fields | None:
    """Reads what `produce` writes, eight times as fast; None for whatever is not like that."""
    if "\\u" in text:
        return None
    try:
        pairs: Pairs = DECODER.decode(text)
        keys, values = zip(*pairs, strict=True)
    except (ValueError, TypeError, RecursionError):
        return None
    if keys != KEYS or not all(type(value) is str for value in values):
        return None
    return [value or None for value in values]


def read_patiently(text: str) -> Fields:
    """Reads any flat object that has exactly the keys, in any order; raises LineError."""
    fields = parse_line(text)
    for key in fields.keys() - FIELDS.keys():
        raise LineError(f"an unknown field {key!r}")
    for key in KEYS:
        if key not in fields:
            raise LineError(f"no field {key!r}")
    return [fields[key] or None for key in KEYS]
