"""A block of lines -> which lines are sound rows by themselves; numpy only, no line by line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.readers.blocks import MAX_RECORD_BYTES
from app.readers.encoding import Encoding, undecodable_lines
from app.readers.limits import shown_bytes

QUOTE, LF, CR, NUL = b'"\n\r\0'

Offsets = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a sound row looks like. delimiter: NUL where a file has one column and none.

    line_bytes: how long it may be.
    """

    delimiter: int
    field_count: int
    line_bytes: int = MAX_RECORD_BYTES


@dataclass(frozen=True, slots=True)
class Lines:
    """Where each line begins, where its LF stands, and how many delimiters are between."""

    starts: Offsets
    ends: Offsets
    delimiters: Offsets


@dataclass(frozen=True, slots=True)
class Findings:
    """is_sound: the line is one row of the right shape, read by itself.

    damage: why a line cannot be kept whatever its shape, by the line's position.
    """

    is_sound: Flags
    is_blank: Flags
    has_quote: Flags
    damage: dict[int, str]


def find_lines(body: bytes, delimiter: int | None = None) -> Lines:
    """One search for both kinds of byte, so that the delimiters are counted on the way.

    Without one, which takes a third of the time, there are none.
    """
    text = np.frombuffer(body, np.uint8)
    if delimiter is None:
        ends = np.flatnonzero(text == LF)
        return Lines(_starts(ends), ends, np.zeros_like(ends))
    is_mark = text == LF
    is_mark |= text == delimiter
    marks = np.flatnonzero(is_mark)
    line_marks = np.flatnonzero(text[marks] == LF)
    ends = marks[line_marks]
    return Lines(_starts(ends), ends, np.diff(line_marks, prepend=-1) - 1)


def _starts(ends: Offsets) -> Offsets:
    starts = np.empty_like(ends)
    starts[:1] = 0
    starts[1:] = ends[:-1] + 1
    return starts


def first_lines(lines: Lines, count: int) -> Lines:
    return Lines(lines.starts[:count], lines.ends[:count], lines.delimiters[:count])


def is_sound_throughout(body: bytes, lines: Lines, shape: Shape) -> bool:
    """Whether every line of an undamaged block is a sound row without quotes.

    The usual block, settled quickly; False may also mean that check_lines has to look.
    """
    if shape.field_count == 1 or QUOTE in body:
        return False
    return bool((lines.delimiters == shape.field_count - 1).all())


def find_damage(
    body: bytes, lines: Lines, encoding: Encoding | None, line_bytes: int
) -> dict[int, str]:
    """Lines no reading can save: too long, holding NUL, or not decoding; worst reason wins."""
    damage = {}
    if encoding is not None and not body.isascii():
        reason = f"bytes that do not decode as {encoding.label}"
        damage.update(dict.fromkeys(undecodable_lines(body, lines.ends, encoding), reason))
    if NUL in body:
        with_nul = np.searchsorted(lines.ends, positions(body, NUL))
        damage.update(dict.fromkeys(with_nul.tolist(), "a NUL byte"))
    too_long = np.flatnonzero(lines.ends - lines.starts > line_bytes)
    reason = f"a line longer than {shown_bytes(line_bytes)}"
    damage.update(dict.fromkeys(too_long.tolist(), reason))
    return damage


def check_lines(body: bytes, lines: Lines, shape: Shape, damage: dict[int, str]) -> Findings:
    has_quote = count_in_lines(positions(body, QUOTE), lines) > 0
    is_blank = find_blank(body, lines)
    is_sound = (lines.delimiters == shape.field_count - 1) & ~is_blank & ~has_quote
    quoted = np.flatnonzero(has_quote)
    if len(quoted):
        is_sound[quoted] = are_quoted_soundly(*gather(body, lines, quoted), shape)
    is_sound[list(damage)] = False
    return Findings(is_sound, is_blank, has_quote, damage)


def check_lines_beside(
    body: bytes, lines: Lines, is_plain: Flags, shape: Shape, encoding: Encoding | None
) -> tuple[Lines, Findings]:
    """Finds damage and checks the shape of those lines alone that are not plain.

    Gives the lines with their delimiters counted; of plain ones, that takes no search.
    """
    others = np.flatnonzero(~is_plain)
    their_body, _ = gather(body, lines, others)
    their_lines = find_lines(their_body, shape.delimiter)
    damage = find_damage(their_body, their_lines, encoding, shape.line_bytes)
    found = check_lines(their_body, their_lines, shape, damage)

    delimiters = np.full_like(lines.ends, shape.field_count - 1)
    delimiters[others] = their_lines.delimiters
    is_sound, is_blank, has_quote = is_plain.copy(), ~is_plain, ~is_plain
    is_sound[others] = found.is_sound
    is_blank[others] = found.is_blank
    has_quote[others] = found.has_quote
    damage = {int(others[line]): reason for line, reason in damage.items()}
    counted = Lines(lines.starts, lines.ends, delimiters)
    return counted, Findings(is_sound, is_blank, has_quote, damage)


def positions(body: bytes, byte: int) -> Offsets:
    return np.flatnonzero(np.frombuffer(body, np.uint8) == byte)


def count_in_lines(offsets: Offsets, lines: Lines) -> Offsets:
    """How many of the ascending offsets lie in each line."""
    until = np.searchsorted(offsets, lines.ends)
    return np.diff(until, prepend=0)


def find_blank(body: bytes, lines: Lines) -> Flags:
    lengths = lines.ends - lines.starts
    starts_with_cr = np.frombuffer(body, np.uint8)[lines.starts] == CR
    is_blank: Flags = (lengths == 0) | ((lengths == 1) & starts_with_cr)
    return is_blank


def gather(body: bytes, lines: Lines, chosen: Offsets) -> tuple[bytes, Lines]:
    """The chosen lines as a block of their own."""
    if len(chosen) == len(lines.ends):
        return body, lines
    starts, ends = lines.starts[chosen], lines.ends[chosen]
    view = memoryview(body)
    pieces = [view[a:b] for a, b in zip(starts.tolist(), (ends + 1).tolist(), strict=True)]
    new_ends = np.cumsum(ends + 1 - starts) - 1
    new_lines = Lines(new_ends - (ends - starts), new_ends, lines.delimiters[chosen])
    return b"".join(pieces), new_lines


def are_quoted_soundly(body: bytes, lines: Lines, shape: Shape) -> Flags:
    """Which lines, each read by itself, quote whole fields only and have the right count."""
    text = np.frombuffer(body, np.uint8)
    quotes = positions(body, QUOTE)
    before_line = np.searchsorted(quotes, lines.starts)
    per_line = np.diff(before_line, append=len(quotes))
    in_line = np.arange(len(quotes)) - np.repeat(before_line, per_line)
    fits = np.where(
        in_line % 2 == 0,
        may_open(text, quotes, shape.delimiter),
        may_close(text, quotes, shape.delimiter),
    )
    is_sound: Flags = per_line % 2 == 0
    is_sound[np.repeat(np.arange(len(per_line)), per_line)[~fits]] = False
    is_sound &= count_outside_quotes(body, lines, shape) == shape.field_count - 1
    return is_sound


def may_open(text: Bytes, quotes: Offsets, delimiter: int) -> Flags:
    """After a quote, an opening one makes with it the doubled quote inside a field."""
    before = text[quotes - 1]
    before[quotes == 0] = LF
    fits: Flags = (before == delimiter) | (before == LF) | (before == QUOTE)
    return fits


def may_close(text: Bytes, quotes: Offsets, delimiter: int) -> Flags:
    after = text[quotes + 1]
    after_next = text[np.minimum(quotes + 2, len(text) - 1)]
    ends_line = (after == LF) | ((after == CR) & (after_next == LF))
    fits: Flags = ends_line | (after == delimiter) | (after == QUOTE)
    return fits


def count_outside_quotes(body: bytes, lines: Lines, shape: Shape) -> Offsets:
    """Delimiters of each line that an even number of the line's quotes stand before."""
    text = np.frombuffer(body, np.uint8)
    delimiters = positions(body, shape.delimiter)
    parity = np.cumsum(text == QUOTE, dtype=np.uint8) & 1
    parity_before_line = np.zeros(len(lines.starts), np.uint8)
    parity_before_line[1:] = parity[lines.starts[1:] - 1]
    line_of = np.repeat(np.arange(len(lines.ends)), lines.delimiters)
    is_outside = parity[delimiters] == parity_before_line[line_of]
    return np.bincount(line_of[is_outside], minlength=len(lines.ends))
