"""The start of a delimited text -> its header, delimiter and encoding."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from app.errors import FileError
from app.readers import structure
from app.readers.blocks import LineBlocks
from app.readers.encoding import UTF8, Encoding, choose_encoding
from app.readers.limits import shown_bytes
from app.readers.records import Broken, Record, RecordScanner
from app.readers.structure import NUL, Shape
from app.readers.text import TextFile

DELIMITERS = b",;\t|"
BLANK_LINES = re.compile(rb"(?:[ \t]*+\r?\n)*+")
OUTSIDE_QUOTES = re.compile(rb'(?:[^"\n]++|"[^"]*+")*+[^\n]*+')
ANY_FIELD_COUNT = 1 << 30


@dataclass(frozen=True, slots=True)
class Dialect:
    """names: the header as it stands, surrounding blanks stripped.

    text_bytes, lines: how much of the text the header takes, blank lines before it included.
    encoding: None while only ASCII was seen.
    """

    names: tuple[str, ...]
    shape: Shape
    encoding: Encoding | None
    text_bytes: int
    lines: int


def read_dialect(text: TextFile, *, prefers_tab: bool) -> Dialect:
    """Raises FileError for an empty file and for a header that cannot be read."""
    limits = text.limits
    blocks = LineBlocks(text.chunks(), limits.line_bytes)
    block = blocks.take()
    while block is not None:
        body = block.body
        start = BLANK_LINES.match(body).end()  # type: ignore[union-attr]  # matches always
        if start < len(body):
            delimiter = choose_delimiter(body, start, prefers_tab=prefers_tab)
            shape = Shape(delimiter, ANY_FIELD_COUNT, limits.line_bytes)
            header = scan_header(body, start, shape, is_last=block.is_last)
            if header is not None:
                limits.require_columns(len(header.fields), body.count(b"\n", 0, start) + 1)
                return make_dialect(body, start, shape, header, text.layout.encoding)
        elif len(body) > limits.line_bytes:
            first = shown_bytes(limits.line_bytes)
            raise broken_header(f"nothing but blank lines in the first {first}", None)
        block = None if block.is_last else blocks.take(body)
    raise FileError(
        found="an empty file",
        expected="a header line and rows below it",
        remedy="export the file again and drop it anew",
    )


def choose_delimiter(body: bytes, start: int, *, prefers_tab: bool) -> int:
    """The delimiter that stands most often in the header outside quotes; NUL if none does."""
    header = OUTSIDE_QUOTES.match(body, start).group()  # type: ignore[union-attr]  # matches always
    unquoted = re.sub(rb'"[^"]*+"', b"", header)
    if prefers_tab and b"\t" in unquoted:
        return ord("\t")
    best = max(DELIMITERS, key=unquoted.count)
    return best if best in unquoted else NUL


def scan_header(body: bytes, start: int, shape: Shape, *, is_last: bool) -> Record | None:
    """None if the header may go on after the block's end."""
    line_number = body.count(b"\n", 0, start) + 1
    line = body[start : body.index(b"\n", start)]
    if NUL in line:
        raise broken_header("a header with a NUL byte: the file is not plain text", line_number)
    if is_json(line):
        raise FileError(
            found="JSON under the name of a delimited text file",
            expected="a header line with column names",
            remedy="name the file .jsonl if every line is one JSON object, or export it as CSV",
            line_number=line_number,
        )
    header = RecordScanner(shape).scan(body, start, is_last=is_last)
    if isinstance(header, Broken):
        raise broken_header(f"a header with {header.reason}", line_number)
    return header


def is_json(line: bytes) -> bool:
    text = line.strip()
    if text in (b"{", b"[", b"[{"):
        return True
    try:
        return isinstance(json.loads(text.removesuffix(b",")), dict | list)
    except (ValueError, RecursionError):
        return False


def make_dialect(
    body: bytes, start: int, shape: Shape, header: Record, encoding: Encoding | None
) -> Dialect:
    if encoding is None and not body.isascii():
        encoding = choose_encoding(body, structure.find_lines(body).ends)
    line_number = body.count(b"\n", 0, start) + 1
    try:
        codec = (encoding or UTF8).codec
        names = tuple(field.decode(codec).strip() for field in header.fields)
    except UnicodeDecodeError as error:
        label = (encoding or UTF8).label
        found = f"a header with bytes that do not decode as {label}"
        raise broken_header(found, line_number) from error
    if any("\0" in name for name in names):
        raise broken_header("a header with a NUL byte", line_number)
    return Dialect(
        names=names,
        shape=replace(shape, field_count=len(names)),
        encoding=encoding,
        text_bytes=header.end + 1,
        lines=body.count(b"\n", 0, header.end + 1),
    )


def broken_header(found: str, line_number: int | None) -> FileError:
    return FileError(
        found=found,
        expected="a first line with the column names",
        remedy="correct the header, or export the file again, and drop it anew",
        line_number=line_number,
    )
