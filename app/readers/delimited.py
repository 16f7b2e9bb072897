"""Delimited text -> batches; only this module knows the order of the steps between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

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
        is_hopeful = may_be_plain
        chunks = self._text.chunks(skip_bytes=self._dialect.text_bytes)
        blocks = LineBlocks(chunks, self._dialect.shape.line_bytes)
        encoding = self._dialect.encoding
        place = Place(lines=self._dialect.lines, rows=0)
        carried = b""
        while (block := blocks.take(carried)) is not None:
            body = block.body
            shape = self._dialect.shape
            columns = plain.read_plain(body, shape, names, types) if is_hopeful else None
            if columns is not None:
                batch, place = self._make_plain_batch(body, columns, place)
                yield batch
                carried = b""
                continue
            # The block after one that is not plain mostly is not, either.
            is_hopeful = may_be_plain and not is_hopeful
            lines = structure.find_lines(body, shape.delimiter)
            # What was carried over may be one row still, and then has to grow.
            most_lines = MAX_BATCH_LINES + carried.count(b"\n")
            if len(lines.ends) > most_lines and is_crowded(lines, shape):
                block = blocks.cut(block, int(lines.ends[most_lines - 1]) + 1)
                body, lines = block.body, structure.first_lines(lines, most_lines)
            if encoding is None and not body.isascii():
                encoding = choose_encoding(body, lines.ends)
            sorted_rows = rows.sort_lines(body, lines, shape, encoding, is_last=block.is_last)
            batch, place = self._make_batch(body, lines, sorted_rows, encoding, place, names)
            if batch.rejects or batch.frame.height:
                yield batch
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

        @cache
        def lines() -> Lines:
            return structure.find_lines(body)

        def give(positions: Sequence[int]) -> list[str]:
            return row_texts(body, lines().starts, lines().ends, UTF8.codec)(positions)

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
        names: Sequence[str],
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
        columns = frames.parse_rows(text, self._dialect.shape, encoding, names, len(numbers))
        codec = (encoding or UTF8).codec
        batch = Batch(
            frame=numbers.hstack(columns),
            rejects=make_rejects(body, lines, sorted_rows, codec, place),
            raw_texts=row_texts(body, lines.starts[first_lines], lines.ends[last_lines], codec),
            bytes_read=self._text.bytes_read(),
        )
        row_count = int(rows_so_far[-1]) if len(rows_so_far) else place.rows
        return batch, Place(place.lines + len(sorted_rows.roles), row_count)


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
        chosen = np.asarray(positions, np.intp)
        bounds = zip(starts[chosen].tolist(), ends[chosen].tolist(), strict=True)
        return [raw_text.show_bytes(body[start:end], codec) for start, end in bounds]

    return give
