"""Delimited text -> batches; only this module knows the order of the steps between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from app.domain import Batch, Reject
from app.readers import dialect, frames, plain, raw_text, rows, structure
from app.readers.blocks import LineBlocks
from app.readers.encoding import UTF8, Encoding, choose_encoding
from app.readers.rows import Rows
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
class Wanted:
    """The columns to read. types: empty where not all of them can be read in one go."""

    names: Sequence[str]
    types: Mapping[str, pl.DataType]


class DelimitedReader:
    """Reads rows of fields; a row whose structure is broken costs its own line only."""

    def __init__(self, text: TextFile, *, prefers_tab: bool) -> None:
        self._text = text
        self._dialect = dialect.read_dialect(text, prefers_tab=prefers_tab)
        self.header = self._dialect.names

    def batches(
        self, names: Sequence[str], types: Mapping[str, pl.DataType] = NO_TYPES
    ) -> Iterator[Batch]:
        may_be_plain = plain.can_be_plain(self._dialect.shape, names, types)
        wanted = Wanted(names, types if may_be_plain else NO_TYPES)
        chunks = self._text.chunks(skip_bytes=self._dialect.text_bytes)
        blocks = LineBlocks(chunks, self._dialect.shape.line_bytes)
        encoding = self._dialect.encoding
        place = Place(lines=self._dialect.lines, rows=0)
        carried = b""
        while (block := blocks.take(carried)) is not None:
            body = block.body
            shape = self._dialect.shape
            columns = plain.read_plain(body, shape, names, types) if may_be_plain else None
            if columns is not None:
                batch, place = self._make_plain_batch(body, columns, place)
                yield batch
                carried = b""
                continue
            lines = structure.find_lines(body, shape.delimiter)
            # What was carried over may be one row still, and then has to grow.
            most_lines = MAX_BATCH_LINES + carried.count(b"\n")
            if len(lines.ends) > most_lines and is_crowded(lines, shape):
                block = blocks.cut(block, int(lines.ends[most_lines - 1]) + 1)
                body, lines = block.body, structure.first_lines(lines, most_lines)
            if encoding is None and not body.isascii():
                encoding = choose_encoding(body, lines.ends)
            sorted_rows = rows.sort_lines(body, lines, shape, encoding, is_last=block.is_last)
            batch, place = self._make_batch(body, lines, sorted_rows, encoding, place, wanted)
            if batch.rejects or batch.frame.height or batch.odd is not None:
                yield batch
            # The block after one that is not plain mostly is not, either.
            may_be_plain = bool(wanted.types) and not batch.rejects and batch.odd is None
            settled = len(sorted_rows.roles)
            carried = body[lines.starts[settled] :] if settled < len(lines.starts) else b""

    def _make_plain_batch(
        self, body: bytes, columns: pl.DataFrame, place: Place
    ) -> tuple[Batch, Place]:
        """Every line of the block is a row."""
        height = columns.height
        numbers = {"line_number": place.lines, "row_number": place.rows}
        numbered = [
            pl.Series(name, np.arange(so_far + 1, so_far + 1 + height, dtype=np.int64))
            for name, so_far in numbers.items()
        ]

        def give(positions: Sequence[int]) -> list[str]:
            lines = structure.find_lines(body)
            return row_texts(body, lines.starts, lines.ends, UTF8.codec)(positions)

        batch = Batch(
            frame=pl.DataFrame([*numbered, *columns]),
            rejects=(),
            raw_texts=give,
            bytes_read=self._text.bytes_read(),
        )
        return batch, Place(place.lines + height, place.rows + height)

    def _make_batch(
        self,
        body: bytes,
        lines: Lines,
        sorted_rows: Rows,
        encoding: Encoding | None,
        place: Place,
        wanted: Wanted,
    ) -> tuple[Batch, Place]:
        first_lines, last_lines = sorted_rows.bounds()
        rows_so_far = place.rows + np.cumsum(sorted_rows.begins_row())
        numbers = pl.DataFrame(
            {
                "line_number": first_lines + (place.lines + 1),
                "row_number": rows_so_far[first_lines],
            },
            schema={"line_number": pl.Int64, "row_number": pl.Int64},
        )
        text = frames.join_rows(body, lines, sorted_rows)
        frame, odd = self._read_rows(text, numbers, encoding, wanted)
        codec = (encoding or UTF8).codec
        batch = Batch(
            frame=frame,
            rejects=make_rejects(body, lines, sorted_rows, codec, place),
            raw_texts=row_texts(body, lines.starts[first_lines], lines.ends[last_lines], codec),
            bytes_read=self._text.bytes_read(),
            odd=odd,
        )
        row_count = int(rows_so_far[-1]) if len(rows_so_far) else place.rows
        return batch, Place(place.lines + len(sorted_rows.roles), row_count)

    def _read_rows(
        self, text: bytes, numbers: pl.DataFrame, encoding: Encoding | None, wanted: Wanted
    ) -> tuple[pl.DataFrame, pl.DataFrame | None]:
        """Gives the frame of a batch, and the odd rows where there are some."""
        shape, names = self._dialect.shape, wanted.names
        apart = plain.read_apart(text, shape, names, wanted.types) if wanted.types else None
        if apart is None:
            columns = frames.parse_rows(text, shape, encoding, names, len(numbers))
            return numbers.hstack(columns), None
        odd_numbers = numbers.filter(~apart.is_plain)
        odd_columns = frames.parse_rows(apart.odd, shape, encoding, names, len(odd_numbers))
        odd = odd_numbers.hstack(odd_columns) if len(odd_numbers) else None
        return numbers.filter(apart.is_plain).hstack(apart.columns), odd


def is_crowded(lines: Lines, shape: Shape) -> bool:
    """Whether a block may give many rejects, or more rows than memory is meant for."""
    odd = np.count_nonzero(lines.delimiters != shape.field_count - 1)
    return bool(odd > MANY_ODD_LINES or lines.ends[-1] < SHORT_LINE_BYTES * len(lines.ends))


def make_rejects(
    body: bytes, lines: Lines, sorted_rows: Rows, codec: str, place: Place
) -> list[Reject]:
    return [
        Reject(
            line_number=place.lines + 1 + refusal.first,
            column_name=None,
            reason=refusal.reason,
            raw=raw_text.show_bytes(
                body[lines.starts[refusal.first] : lines.ends[refusal.last]], codec
            ),
        )
        for refusal in sorted_rows.refusals
    ]


def row_texts(
    body: bytes, starts: Offsets, ends: Offsets, codec: str
) -> Callable[[Sequence[int]], list[str]]:
    def give(positions: Sequence[int]) -> list[str]:
        return [raw_text.show_bytes(body[starts[k] : ends[k]], codec) for k in positions]

    return give
