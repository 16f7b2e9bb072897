"""A block of lines -> which of them are plain: their fields can be read in one go.

A bad row in a block, or a few as no program writes them, shall not send thousands of sound rows
the patient way. One search for a strict pattern finds the sound ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from app.readers import plain, structure
from app.readers.structure import CR, LF, Bytes, Flags, Lines, Offsets, Shape

# A look at so much tells whether looking at the whole block is worth its while.
HEAD_BYTES = 32 << 10
MOST_ODD_LINES = 1 << 12
DELETE = 0x7F
# Leap days are left to the patient way, and so are numbers that may need more than 64 bits.
DAY = (
    r"[1-9][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
FIELDS: Mapping[type[pl.DataType], str] = {
    pl.Int64: r"-?[0-9]{1,18}",
    pl.Date: DAY,
    pl.Datetime: rf"(?:{DAY})[ T]{plain.PLAIN_TIME.decode()}",
}


@dataclass(frozen=True, slots=True)
class PlainLines:
    """The lines of a block, without a count of their delimiters, and which of them are plain.

    text: the block in the sieve's own memory, until the next block; what is not ASCII is changed.
    """

    text: Bytes
    lines: Lines
    is_plain: Flags

    def read(
        self, is_wanted: Flags, shape: Shape, types: Mapping[str, pl.DataType]
    ) -> pl.DataFrame | None:
        """Gives the rows of the plain lines in one go; None where that cannot be done."""
        if not is_wanted.any():
            return None
        # Arrow passes over empty lines, and to make some of the others is quicker than to copy
        # the wanted ones.
        unwanted = np.ones(len(self.lines.ends), np.bool_)
        unwanted[: len(is_wanted)] = ~is_wanted
        starts, ends = self.lines.starts[unwanted].tolist(), self.lines.ends[unwanted].tolist()
        for start, end in zip(starts, ends, strict=True):
            self.text[start:end] = LF
        return plain.read_lines(self.text, shape, types, int(np.count_nonzero(is_wanted)))


class Sieve:
    """Finds the plain lines of a file's blocks.

    types: of the file's columns, each of those that can be plain.
    """

    def __init__(self, shape: Shape, types: Sequence[pl.DataType]) -> None:
        self._shape = shape
        fields = re.escape(chr(shape.delimiter)).join(f"(?:{FIELDS[type(each)]})" for each in types)
        self._line = f"^{fields}\n$"
        self._line_with_cr = f"^{fields}\r\n$"
        self._is_hopeful = False
        # Used again for each block: fresh memory takes longer than what is done with it.
        self._memory = np.empty(0, np.uint8)

    def find_plain_lines(self, body: bytes) -> PlainLines | None:
        """Gives None for a small block, and where more lines are odd than is worth it."""
        if len(body) <= plain.SMALL_BLOCK_BYTES:
            return None
        head = b"" if self._is_hopeful else body[: body.rfind(b"\n", 0, HEAD_BYTES) + 1]
        if head and self._find(head, MOST_ODD_LINES * len(head) // len(body) + 1) is None:
            return None
        found = self._find(body, MOST_ODD_LINES)
        self._is_hopeful = found is not None
        return found

    def _find(self, body: bytes, most_odd: int) -> PlainLines | None:
        lines = structure.find_lines(body)
        text = self._as_ascii(body)
        is_plain = self._matches(text, lines.ends)
        is_plain &= lines.ends - lines.starts <= self._shape.line_bytes
        if np.count_nonzero(~is_plain) > most_odd:
            return None
        return PlainLines(text, lines, is_plain)

    def _matches(self, text: Bytes, ends: Offsets) -> Flags:
        """Which lines match as a whole; all have to end as the first does."""
        has_cr = ends[0] > 0 and text[ends[0] - 1] == CR
        pattern = self._line_with_cr if has_cr else self._line
        offsets = np.zeros(len(ends) + 1, np.int32)
        offsets[1:] = ends + 1
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
        lines = pl.Series("line", pa.Array.from_buffers(pa.string(), len(ends), buffers)).to_frame()
        return lines.select_seq(pl.col("line").str.contains(pattern)).to_series().to_numpy()

    def _as_ascii(self, body: bytes) -> Bytes:
        """What is not ASCII may not be UTF-8, and belongs to no plain line anyway."""
        if len(self._memory) < len(body):
            self._memory = np.empty(len(body), np.uint8)
        text = self._memory[: len(body)]
        np.copyto(text, np.frombuffer(body, np.uint8))
        if not body.isascii():
            text[np.flatnonzero(text > DELETE)] = DELETE
        return text
