"""Delimited text -> batches; only this module knows the order of the steps between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from app.domain import Batch, Reject
from app.readers import dialect, frames, plain, raw_text, rows, structure
from app.readers.blocks import Block, LineBlocks
from app.readers.encoding import UTF8, Encoding, choose_encoding
from app.readers.rows import Rows
from app.readers.sieve import PlainLines, Sieve
from app.readers.structure import Lines, Offsets, Shape
from app.readers.text import TextFile

# Rejects take much more memory than their text, and so do very short rows. Other blocks are not
# cut, as that costs a tenth of their reading.
MAX_BATCH_LINES = 1 << 15
MANY_ODD_LINES = 1 << 12
SHORT_LINE_BYTES = 24
NO_TYPES: Mapping[str, pl.DataType] = {}


@dataclass(frozen=True, slots=True)
class Place:
    """How far reading has come: physical lines and rows before the next block."""

    lines: int
    rows: int


@dataclass(frozen=True, slots=True)
class SettledBlock:
    """A block, and what its lines are. plain_lines: None where nobody looked for them."""

    body: bytes
    lines: Lines
    rows: Rows
    encoding: Encoding | None
    plain_lines: PlainLines | None


class DelimitedReader:
    """Reads rows of fields; a row whose structure is broken costs its own line only."""

    def __init__(self, text: TextFile, *, prefers_tab: bool) -> None:
        self._text = text
        self._dialect = dialect.read_dialect(text, prefers_tab=prefers_tab)
        self.header = self._dialect.names

    def batches(
        self, names: Sequence[str], types: Mapping[str, pl.DataType] = NO_TYPES
    ) -> Iterator[Batch]:
        shape = self._dialect.shape
        may_be_plain = plain.can_be_plain(shape, names, types)
        columns = {name: types.get(name, pl.String()) for name in names}
        sieve = Sieve(shape, list(columns.values())) if may_be_plain else None
        is_hopeful = may_be_plain
        chunks = self._text.chunks(skip_bytes=self._dialect.text_bytes)
        blocks = LineBlocks(chunks, shape.line_bytes)
        encoding = self._dialect.encoding
        place = Place(lines=self._dialect.lines, rows=0)
        carried = b""
        while (block := blocks.take(carried)) is not None:
            typed = plain.read_plain(block.body, shape, columns) if is_hopeful else None
            if typed is not None:
                batch, place = self._make_plain_batch(block.body, typed, place)
                yield batch
                carried = b""
                continue
            found = sieve.find_plain_lines(block.body) if sieve else None
            if found is not None:
                lines, is_plain = found.lines, found.is_plain
            else:
                block, lines = self._find_lines(blocks, block, carried)
                is_plain = None
            # The block after one with odd lines among plain ones mostly has some, too.
            is_hopeful = may_be_plain and (is_plain is None or bool(is_plain.all()))
            body = block.body
            if encoding is None and not body.isascii():
                encoding = choose_encoding(body, lines.ends)
            settled = rows.sort_lines(body, lines, shape, encoding, is_plain, is_last=block.is_last)
            settled_block = SettledBlock(body, lines, settled, encoding, found)
            batch, place = self._make_batch(settled_block, place, columns)
            if batch.rejects or batch.height:
                yield batch
            count = len(settled.roles)
            carried = body[lines.starts[count] :] if count < len(lines.starts) else b""

    def _find_lines(self, blocks: LineBlocks, block: Block, carried: bytes) -> tuple[Block, Lines]:
        """Gives a block's lines, and less of the block where that is crowded."""
        shape = self._dialect.shape
        lines = structure.find_lines(block.body, shape.delimiter)
        # What was carried over may be one row still, and then has to grow.
        most_lines = MAX_BATCH_LINES + carried.count(b"\n")
        if len(lines.ends) <= most_lines or not is_crowded(lines, shape):
            return block, lines
        block = blocks.cut(block, int(lines.ends[most_lines - 1]) + 1)
        return block, structure.first_lines(lines, most_lines)

    def _make_plain_batch(
        self, body: bytes, columns: pl.DataFrame, place: Place
    ) -> tuple[Batch, Place]:
        """Every line of the block is a row."""
        height = columns.height
        firsts = np.arange(height)
        batch = Batch(
            frame=number_rows(firsts, firsts + 1, place, columns),
            rejects=(),
            raw_texts=RowTexts(body, place, UTF8),
            bytes_read=self._text.bytes_read(),
        )
        return batch, Place(place.lines + height, place.rows + height)

    def _make_batch(
        self, block: SettledBlock, place: Place, columns: Mapping[str, pl.DataType]
    ) -> tuple[Batch, Place]:
        shape = self._dialect.shape
        row_numbers = np.cumsum(block.rows.begins_row(), dtype=np.int64)
        rest = block.rows
        typed = None
        if block.plain_lines is not None:
            is_typed = block.rows.are_rows(block.plain_lines.is_plain)
            values = block.plain_lines.read(is_typed, shape, columns)
            if values is not None:
                firsts = np.flatnonzero(is_typed)
                typed = number_rows(firsts, row_numbers[firsts], place, values)
                rest = block.rows.without(is_typed)
        firsts, _ = rest.bounds()
        text = frames.join_rows(block.body, block.lines, rest)
        fields = frames.parse_rows(text, shape, block.encoding, list(columns), len(firsts))
        others = number_rows(firsts, row_numbers[firsts], place, fields)
        batch = Batch(
            frame=others if typed is None else typed,
            rejects=make_rejects(block, place),
            raw_texts=RowTexts(block.body, place, block.encoding or UTF8, block.lines, block.rows),
            bytes_read=self._text.bytes_read(),
            text_rows=others if typed is not None and len(others) else None,
        )
        row_count = int(row_numbers[-1]) if len(row_numbers) else 0
        return batch, Place(place.lines + len(row_numbers), place.rows + row_count)


def is_crowded(lines: Lines, shape: Shape) -> bool:
    """Whether a block may give many rejects, or more rows than memory is meant for."""
    odd = np.count_nonzero(lines.delimiters != shape.field_count - 1)
    return bool(odd > MANY_ODD_LINES or lines.ends[-1] < SHORT_LINE_BYTES * len(lines.ends))


def number_rows(
    firsts: Offsets, row_numbers: Offsets, place: Place, columns: pl.DataFrame
) -> pl.DataFrame:
    """Numbers rows, by their first line and their own number in the block."""
    line_numbers = pl.Series("line_number", firsts + (place.lines + 1), pl.Int64)
    return pl.DataFrame(
        [line_numbers, pl.Series("row_number", row_numbers + place.rows, pl.Int64), *columns]
    )


def make_rejects(block: SettledBlock, place: Place) -> list[Reject]:
    codec = (block.encoding or UTF8).codec
    starts, ends = block.lines.starts, block.lines.ends
    return [
        Reject(
            line_number=place.lines + 1 + refusal.first,
            column_name=None,
            reason=refusal.reason,
            raw=raw_text.show_bytes(block.body[starts[refusal.first] : ends[refusal.last]], codec),
        )
        for refusal in block.rows.refusals
    ]


class RowTexts:
    """The text of the rows of a block, by their first line; looks for lines when first asked.

    rows: None where every line is a row.
    """

    def __init__(
        self,
        body: bytes,
        place: Place,
        encoding: Encoding,
        lines: Lines | None = None,
        rows: Rows | None = None,
    ) -> None:
        self._body = body
        self._first_line = place.lines + 1
        self._codec = encoding.codec
        self._lines = lines
        self._rows = rows

    def __call__(self, chosen: Sequence[int]) -> list[str]:
        lines = self._lines = self._lines or structure.find_lines(self._body)
        firsts = np.asarray(chosen, np.int64) - self._first_line
        lasts = self._rows.last_lines(firsts) if self._rows else firsts
        bounds = zip(lines.starts[firsts].tolist(), lines.ends[lasts].tolist(), strict=True)
        return [raw_text.show_bytes(self._body[start:end], self._codec) for start, end in bounds]
