"""One row read byte by byte, over as many lines as its quotes ask for; only for odd lines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.readers.structure import CR, LF, QUOTE, Shape

UNCLOSED = "an unclosed quote"
AFTER_QUOTE = "text after a closing quote"


@dataclass(frozen=True, slots=True)
class Record:
    """end: the offset of its LF. has_literal_quote: a quote stands inside an unquoted field."""

    end: int
    fields: list[bytes]
    has_literal_quote: bool


@dataclass(frozen=True, slots=True)
class Broken:
    """Why no row begins here."""

    reason: str


class RecordScanner:
    """Reads single rows of one shape."""

    def __init__(self, shape: Shape) -> None:
        self._delimiter = shape.delimiter
        self._field_count = shape.field_count
        self._line_bytes = shape.line_bytes
        self._unquoted = re.compile(b"[^\n" + re.escape(bytes([shape.delimiter])) + b"]*+")

    def scan(self, body: bytes, start: int, *, is_last: bool) -> Record | Broken | None:
        """Reads the row that begins at start; None if it may go on after the block's end.

        body: whole lines. A row over several lines is Broken once it has too many fields,
        so that each line is read again a bounded number of times, whatever the quotes are.
        """
        line_end = body.index(b"\n", start)
        fields: list[bytes] = []
        has_literal_quote = False
        stop = start - 1
        while not fields or body[stop] != LF:
            if stop >= line_end and len(fields) >= self._field_count:
                return Broken(UNCLOSED)
            if body[stop + 1] == QUOTE:
                closing = find_closing_quote(body, stop + 1, start + self._line_bytes)
                if closing is None:
                    is_over = is_last or len(body) - start > self._line_bytes
                    return Broken(UNCLOSED) if is_over else None
                opening, stop = stop + 1, after_quote(body, closing)
                if body[stop] not in (self._delimiter, LF):
                    return Broken(AFTER_QUOTE if stop < line_end else UNCLOSED)
                fields.append(body[opening + 1 : closing].replace(b'""', b'"'))
            else:
                field, stop = self._read_unquoted(body, stop + 1)
                fields.append(field)
                has_literal_quote = has_literal_quote or QUOTE in field
        return Record(stop, fields, has_literal_quote)

    def _read_unquoted(self, body: bytes, start: int) -> tuple[bytes, int]:
        stop = self._unquoted.match(body, start).end()  # type: ignore[union-attr]  # matches always
        field = body[start:stop]
        return (field.removesuffix(b"\r") if body[stop] == LF else field), stop

    def rewrite(self, fields: list[bytes]) -> bytes:
        """The row's line with every field quoted, which any reader takes the same way."""
        quoted = [b'"' + field.replace(b'"', b'""') + b'"' for field in fields]
        return bytes([self._delimiter]).join(quoted) + b"\n"


def find_closing_quote(body: bytes, opening: int, limit: int) -> int | None:
    """The offset of the quote that closes, doubled ones passed over."""
    position = body.find(b'"', opening + 1, limit)
    while position >= 0:
        if body[position + 1] != QUOTE:
            return position
        position = body.find(b'"', position + 2, limit)
    return None


def after_quote(body: bytes, closing: int) -> int:
    """The offset after a closing quote; the CR of a CRLF is passed over."""
    is_crlf = body[closing + 1] == CR and body[closing + 2] == LF
    return closing + 2 if is_crlf else closing + 1
