"""A stored text file -> its text in chunks, ASCII-compatible and with LF or CRLF line ends."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from app.readers import compression, kinds
from app.readers.encoding import UTF8, UTF16, Encoding
from app.readers.limits import Limits

HEAD_CHUNK_BYTES = 64 << 10
TO_LINE_END = re.compile(rb'(?:[^"\r\n]++|"[^"]*+")*+')


@dataclass(frozen=True, slots=True)
class Layout:
    """What the first bytes say about all others.

    wide_codec: the UTF-16 codec to read through, None for one byte per ASCII character.
    encoding: None while only ASCII was seen, and the first other line decides.
    has_lone_cr: lines end with CR alone.
    """

    bom_bytes: int = 0
    wide_codec: str | None = None
    encoding: Encoding | None = None
    has_lone_cr: bool = False


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text file that can be read from its start any number of times, one at a time."""

    source: BinaryIO
    compression: str | None
    block_bytes: int
    layout: Layout
    limits: Limits

    def chunks(self, skip_bytes: int = 0) -> Iterator[bytes]:
        """Gives the text after its byte order mark and skip_bytes more of text, from the start."""
        stored = compression.read_chunks(
            self.source, self.compression, self.block_bytes, self.limits
        )
        text = without_start(stored, self.layout.bom_bytes)
        if self.layout.wide_codec is not None:
            text = narrow(text, self.layout.wide_codec)
        if self.layout.has_lone_cr:
            text = (chunk.replace(b"\r", b"\n") for chunk in text)
        return without_start(text, skip_bytes)

    def bytes_read(self) -> int:
        return self.source.tell()


def open_text(
    source: BinaryIO, compressed_by: str | None, block_bytes: int, limits: Limits
) -> TextFile:
    """Raises FileError if the content is not text by its first bytes."""
    head = read_head(compression.read_chunks(source, compressed_by, kinds.HEAD_BYTES, limits))
    kinds.check_text(head)
    layout = find_layout(head)
    head_bytes = min(block_bytes, HEAD_CHUNK_BYTES)
    opened = TextFile(source, compressed_by, head_bytes, layout, limits)
    has_lone_cr = ends_with_lone_cr(opened.chunks(), limits.line_bytes)
    return replace(opened, block_bytes=block_bytes, layout=replace(layout, has_lone_cr=has_lone_cr))


def read_head(chunks: Iterable[bytes]) -> bytes:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= kinds.HEAD_BYTES:
            break
    return head


def find_layout(head: bytes) -> Layout:
    """The byte order mark decides; without one, NUL in every other byte means UTF-16."""
    if head.startswith(codecs.BOM_UTF8):
        return Layout(bom_bytes=3, encoding=UTF8)
    if head.startswith(codecs.BOM_UTF16_LE):
        return Layout(bom_bytes=2, wide_codec="utf-16-le", encoding=UTF16)
    if head.startswith(codecs.BOM_UTF16_BE):
        return Layout(bom_bytes=2, wide_codec="utf-16-be", encoding=UTF16)
    even, odd = nul_share(head[0::2]), nul_share(head[1::2])
    if len(head) >= 4 and odd > 0.7 and even < 0.1:
        return Layout(wide_codec="utf-16-le", encoding=UTF16)
    if len(head) >= 4 and even > 0.7 and odd < 0.1:
        return Layout(wide_codec="utf-16-be", encoding=UTF16)
    return Layout()


def nul_share(every_other: bytes) -> float:
    return every_other.count(0) / max(len(every_other), 1)


def ends_with_lone_cr(chunks: Iterable[bytes], most_bytes: int) -> bool:
    """Whether the first line end outside quotes is a CR without LF."""
    head = b""
    end = 0
    for chunk in chunks:
        head += chunk
        end = TO_LINE_END.match(head).end()  # type: ignore[union-attr]  # matches always
        is_settled = head[end : end + 1] == b"\n" or head[end : end + 1] == b"\r" != head[end:]
        if is_settled or len(head) > most_bytes:
            break
    return head[end : end + 1] == b"\r" and head[end + 1 : end + 2] != b"\n"


def without_start(chunks: Iterable[bytes], skip_bytes: int) -> Iterator[bytes]:
    for chunk in chunks:
        if skip_bytes < len(chunk):
            yield chunk[skip_bytes:] if skip_bytes else chunk
        skip_bytes = max(skip_bytes - len(chunk), 0)


def narrow(chunks: Iterable[bytes], codec: str) -> Iterator[bytes]:
    """UTF-16 -> UTF-8; what does not decode becomes bytes that do not decode either."""
    decode = codecs.utf_16_le_decode if codec == "utf-16-le" else codecs.utf_16_be_decode
    rest = b""
    for chunk in chunks:
        held = rest + chunk
        text, used = decode(held, "surrogatepass", False)
        rest = held[used:]
        yield text.encode("utf-8", "surrogatepass")
    if rest:
        yield b"\xff"
