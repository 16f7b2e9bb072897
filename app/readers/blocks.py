"""Chunks of text -> blocks of whole lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# Unless the settings say otherwise. What is longer is damage, and memory stays bounded.
MAX_RECORD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Block:
    """body: whole lines, each with its "\\n" (added to the file's last line where it lacks)."""

    body: bytes
    is_last: bool


class LineBlocks:
    """Cuts text at line ends. Of a line over line_bytes only its start is kept."""

    def __init__(self, chunks: Iterator[bytes], line_bytes: int) -> None:
        self._chunks = chunks
        self._line_bytes = line_bytes
        self._upcoming: Block | None = None
        self._rest = b""
        self._in_long_line = False

    def take(self, carried: bytes = b"") -> Block | None:
        """Gives the next block, beginning with the lines carried over; None at the end."""
        if self._upcoming is not None:
            upcoming, self._upcoming = self._upcoming, None
            return Block(carried + upcoming.body, upcoming.is_last)
        for chunk in self._chunks:
            fresh = self._without_long_line(chunk)
            cut = fresh.rfind(b"\n") + 1
            if cut:
                body = b"".join((carried, self._rest, memoryview(fresh)[:cut]))
                self._hold(fresh[cut:])
                return Block(body, is_last=False)
            self._hold(self._rest + fresh)
        body = carried + self._rest
        self._rest = b""
        if not body:
            return None
        return Block(body if body.endswith(b"\n") else body + b"\n", is_last=True)

    def cut(self, block: Block, size: int) -> Block:
        """Gives the first lines of a block, of that size in all; the others come next."""
        self._upcoming = Block(block.body[size:], block.is_last)
        return Block(block.body[:size], is_last=False)

    def _without_long_line(self, chunk: bytes) -> bytes:
        if not self._in_long_line:
            return chunk
        line_end = chunk.find(b"\n")
        if line_end < 0:
            return b""
        self._in_long_line = False
        return chunk[line_end:]

    def _hold(self, rest: bytes) -> None:
        cut = self._line_bytes + 4
        if len(rest) > cut:
            # A character cut in two would look like damage to the encoding.
            while cut > self._line_bytes + 1 and rest[cut] & 0xC0 == 0x80:
                cut -= 1
            rest = rest[:cut]
            self._in_long_line = True
        self._rest = rest
