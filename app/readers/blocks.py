"""Chunks of text -> blocks of whole lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# No honest row comes near; what is longer is damage, and memory stays bounded.
MAX_RECORD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Block:
    """body: whole lines, each with its "\\n" (added to the file's last line where it lacks)."""

    body: bytes
    is_last: bool


class LineBlocks:
    """Cuts text at line ends. Of a line over MAX_RECORD_BYTES only its start is kept."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""
        self._in_long_line = False

    def take(self, carried: bytes = b"") -> Block | None:
        """Gives the next block, beginning with the lines carried over; None at the end."""
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

    def _without_long_line(self, chunk: bytes) -> bytes:
        if not self._in_long_line:
            return chunk
        line_end = chunk.find(b"\n")
        if line_end < 0:
            return b""
        self._in_long_line = False
        return chunk[line_end:]

    def _hold(self, rest: bytes) -> None:
        cut = MAX_RECORD_BYTES + 4
        if len(rest) > cut:
            # A character cut in two would look like damage to the encoding.
            while cut > MAX_RECORD_BYTES + 1 and rest[cut] & 0xC0 == 0x80:
                cut -= 1
            rest = rest[:cut]
            self._in_long_line = True
        self._rest = rest
