"""JSON lines, one flat object a line -> batches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn

import polars as pl

from app.domain import Batch, Reject
from app.errors import FileError
from app.readers import raw_text, structure
from app.readers.blocks import LineBlocks
from app.readers.encoding import UTF8, Encoding, choose_encoding
from app.readers.structure import Lines
from app.readers.text import TextFile

HEADER_LINES = 1_000
# Objects may be much shorter than the rows they become.
MAX_BATCH_LINES = 1 << 15
MAX_BATCH_VALUES = 1 << 20
WORDS = {True: "true", False: "false", None: None}
Flat = dict[str, str | None]


class LineError(ValueError):
    """A line that is not one flat JSON object; the message is the reason for its reject."""


@dataclass(frozen=True, slots=True)
class LineBlock:
    """A block of lines and what is known of them before they are parsed."""

    body: bytes
    lines: Lines
    codec: str
    damage: dict[int, str]

    def parse(self) -> Iterator[tuple[int, Flat | LineError]]:
        """Gives each line that is not blank, by its position, as its object or its error."""
        bounds = zip(self.lines.starts.tolist(), self.lines.ends.tolist(), strict=True)
        for position, (start, end) in enumerate(bounds):
            line = self.body[start:end].removesuffix(b"\r")
            if line.isspace() or not line:
                continue
            try:
                if position in self.damage:
                    raise LineError(self.damage[position])  # noqa: TRY301
                yield position, parse_line(line.decode(self.codec))
            except LineError as error:
                yield position, error

    def pieces(self, line_count: int) -> Iterator[LineBlock]:
        """Gives the same lines in blocks of at most line_count."""
        total = len(self.lines.ends)
        if total <= line_count:
            yield self
            return
        for first in range(0, total, line_count):
            last = min(first + line_count, total) - 1
            start, end = int(self.lines.starts[first]), int(self.lines.ends[last]) + 1
            body = self.body[start:end]
            damage = {
                line - first: why for line, why in self.damage.items() if first <= line <= last
            }
            yield LineBlock(body, structure.find_lines(body), self.codec, damage)

    def show(self, position: int) -> str:
        line = self.body[self.lines.starts[position] : self.lines.ends[position]]
        return raw_text.show_bytes(line, self.codec)


class JsonLinesReader:
    """Reads objects; the header is the union of the first lines' keys, in order of appearance."""

    def __init__(self, text: TextFile) -> None:
        self._text = text
        self._keys = read_keys(text)
        self.header = tuple(key.strip() for key in self._keys)

    def batches(
        self, names: Sequence[str], _types: Mapping[str, pl.DataType] | None = None
    ) -> Iterator[Batch]:
        line_count = row_count = 0
        most_lines = max(1, min(MAX_BATCH_LINES, MAX_BATCH_VALUES // len(self._keys)))
        blocks = read_line_blocks(self._text)
        for block in (piece for whole in blocks for piece in whole.pieces(most_lines)):
            batch = self._make_batch(block, line_count, row_count, names)
            line_count += len(block.lines.ends)
            row_count += batch.frame.height + len(batch.rejects)
            if batch.frame.height or batch.rejects:
                yield batch

    def _make_batch(
        self, block: LineBlock, line_count: int, row_count: int, names: Sequence[str]
    ) -> Batch:
        rows: list[tuple[int | str | None, ...]] = []
        rejects: list[Reject] = []
        known = frozenset(self._keys)
        for row_number, (position, found) in enumerate(block.parse(), row_count + 1):
            line_number = line_count + position + 1
            reason = reason_against(found, known)
            if reason is not None or isinstance(found, LineError):
                rejects.append(Reject(line_number, None, reason or "", block.show(position)))
                continue
            values = (found.get(key) or None for key in self._keys)
            rows.append((line_number, row_number, *values))
        schema = {"line_number": pl.Int64, "row_number": pl.Int64}
        return Batch(
            frame=pl.DataFrame(rows, {**schema, **dict.fromkeys(names, pl.String)}, orient="row"),
            rejects=rejects,
            raw_texts=lambda chosen: [block.show(line - line_count - 1) for line in chosen],
            bytes_read=self._text.bytes_read(),
        )


def reason_against(found: Flat | LineError, known: frozenset[str]) -> str | None:
    if isinstance(found, LineError):
        return str(found)
    unknown = found.keys() - known
    return f"an unknown key {min(unknown)!r}" if unknown else None


def read_line_blocks(text: TextFile) -> Iterator[LineBlock]:
    line_bytes = text.limits.line_bytes
    blocks = LineBlocks(text.chunks(), line_bytes)
    encoding: Encoding | None = text.layout.encoding
    while (block := blocks.take()) is not None:
        lines = structure.find_lines(block.body)
        if encoding is None and not block.body.isascii():
            encoding = choose_encoding(block.body, lines.ends)
        damage = structure.find_damage(block.body, lines, encoding, line_bytes)
        yield LineBlock(block.body, lines, (encoding or UTF8).codec, damage)


def read_keys(text: TextFile) -> tuple[str, ...]:
    """Raises FileError for an empty file and where none of the first lines is an object."""
    parsed = (found for block in read_line_blocks(text) for _, found in block.parse())
    keys: dict[str, None] = {}
    error: LineError | None = None
    line_count = 0
    for found in islice(parsed, HEADER_LINES):
        line_count += 1
        if isinstance(found, LineError):
            error = error or found
        else:
            keys.update(dict.fromkeys(found))
            text.limits.require_columns(len(keys))
    if not keys:
        raise FileError(
            found=f"no line with a JSON object that has keys ({error or 'the objects are empty'})"
            if line_count
            else "an empty file",
            expected='one object on every line, such as {"title": "owner", "count": 3}',
            remedy="export the file again as JSON lines and drop it anew",
        )
    return tuple(keys)


def parse_line(line: str) -> Flat:
    """Keys and values as text, numbers as they are written; raises LineError."""
    try:
        found = json.loads(
            line,
            parse_int=str,
            parse_float=str,
            parse_constant=refuse_constant,
            object_pairs_hook=require_single_keys,
        )
    except RecursionError as error:
        raise LineError("a nested value") from error
    except json.JSONDecodeError as error:
        raise LineError(f"not valid JSON (character {error.pos + 1})") from error
    if not isinstance(found, dict):
        raise LineError("not a JSON object")
    flat = {key: flatten(key, value) for key, value in found.items()}
    if "\\u" in line:
        for text in (*flat.keys(), *flat.values()):
            require_storable(text or "")
    return flat


def refuse_constant(word: str) -> NoReturn:
    raise LineError(f"not valid JSON ({word} is not a JSON number)")


def require_single_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise LineError(f"the key {twice!r} stands twice")
    return found


def flatten(key: str, value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        raise LineError(f"a nested value under the key {key!r}")
    return WORDS[value]


def require_storable(text: str) -> None:
    """Only escapes like \\u0000 and \\ud800 can bring in what no text column can hold."""
    if "\0" in text:
        raise LineError("a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise LineError("half of a character (a lone surrogate escape)") from error
