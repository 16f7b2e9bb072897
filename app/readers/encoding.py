"""Which bytes stand for which characters, decided once per file, and the lines that disagree."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

# Small windows: the decoder sets aside room for its whole input at every damaged line.
WINDOW_BYTES = 64 << 10
UNDEFINED_IN_CP1252 = b"\x81\x8d\x8f\x90\x9d"
NOWHERE = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Encoding:
    """codec: how lines decode after reading. label: the file's own encoding, as people say it."""

    codec: Literal["utf-8", "cp1252"]
    label: str


UTF8 = Encoding("utf-8", "UTF-8")
UTF16 = Encoding("utf-8", "UTF-16")
CP1252 = Encoding("cp1252", "Windows-1252")


def choose_encoding(body: bytes, line_ends: npt.NDArray[np.int64]) -> Encoding:
    """UTF-8 unless more non-ASCII lines contradict it than bear it out; then cp1252."""
    high = np.flatnonzero(np.frombuffer(body, np.uint8) >= 0x80)
    non_ascii = len(np.unique(np.searchsorted(line_ends, high)))
    invalid = len(undecodable_lines(body, line_ends, UTF8))
    return UTF8 if non_ascii - invalid >= max(invalid, 1) else CP1252


def undecodable_lines(
    body: bytes, line_ends: npt.NDArray[np.int64], encoding: Encoding
) -> list[int]:
    """Positions of the lines that hold bytes without a meaning in the encoding, ascending."""
    if encoding.codec == "cp1252":
        present = [byte for byte in UNDEFINED_IN_CP1252 if byte in body]
        text = np.frombuffer(body, np.uint8)
        offsets = np.concatenate([NOWHERE, *(np.flatnonzero(text == byte) for byte in present)])
    else:
        offsets = np.array(invalid_utf8(body), np.int64)
    return [int(line) for line in np.unique(np.searchsorted(line_ends, offsets))]


def invalid_utf8(body: bytes) -> list[int]:
    """The offset of the first byte that is not UTF-8 in each line that has one."""
    view = memoryview(body)
    offsets = []
    start = 0
    while start < len(body):
        stop = start + WINDOW_BYTES
        try:
            start += codecs.utf_8_decode(view[start:stop], "strict", stop >= len(body))[1]
        except UnicodeDecodeError as error:
            offsets.append(start + error.start)
            line_end = body.find(b"\n", offsets[-1])
            start = line_end + 1 if line_end >= 0 else len(body)
    return offsets
