"""A block of lines -> which lines are rows, and which are refused and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.readers import structure
from app.readers.encoding import Encoding
from app.readers.records import Broken, Record, RecordScanner
from app.readers.structure import Findings, Flags, Lines, Offsets, Shape

# What a line is: passed over, a row's first, a row's further, a refused row's first.
PASSED, ROW, CONTINUED, REFUSED = range(4)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that cannot be kept: its first and last line in the block, and the reason."""

    first: int
    last: int
    reason: str


@dataclass(slots=True)
class Rows:
    """What the lines of a block are.

    roles: one of the constants above for each line that was settled; lines after these belong
        to a row that may go on in the next block.
    rewritten: rows, by their first line, to be replaced by text that needs no leniency.
    """

    roles: npt.NDArray[np.uint8]
    refusals: list[Refusal]
    rewritten: dict[int, bytes]

    def refuse(self, first: int, last: int, reason: str) -> None:
        self.roles[first] = REFUSED
        self.roles[first + 1 : last + 1] = PASSED
        self.refusals.append(Refusal(first, last, reason))

    def accept(self, first: int, last: int) -> None:
        self.roles[first] = ROW
        self.roles[first + 1 : last + 1] = CONTINUED

    def begins_row(self) -> Flags:
        """Which lines are the first of a row, refused ones included."""
        begins: Flags = (self.roles == ROW) | (self.roles == REFUSED)
        return begins

    def without(self, is_left_out: Flags) -> Rows:
        """The same but for some rows, each of one line."""
        roles = np.where(is_left_out, np.uint8(PASSED), self.roles)
        return Rows(roles, self.refusals, self.rewritten)

    def are_rows(self, chosen: Flags) -> Flags:
        """Which of the chosen lines are the first of a kept row; lines not settled are left out."""
        are: Flags = (self.roles == ROW) & chosen[: len(self.roles)]
        return are

    def bounds(self) -> tuple[Offsets, Offsets]:
        """The first and the last line of each kept row, in file order."""
        firsts = np.flatnonzero(self.roles == ROW)
        return firsts, self.last_lines(firsts)

    def last_lines(self, firsts: Offsets) -> Offsets:
        """The last line of each of the rows that begin in these lines."""
        is_continued = self.roles == CONTINUED
        if not is_continued.any():
            return firsts
        beginnings = np.flatnonzero(~is_continued)
        following = np.searchsorted(beginnings, firsts, side="right")
        return np.append(beginnings, len(self.roles))[following] - 1


def sort_lines(
    body: bytes,
    lines: Lines,
    shape: Shape,
    encoding: Encoding | None,
    is_plain: Flags | None = None,
    *,
    is_last: bool,
) -> Rows:
    """Settles what each line is. Costs time by the number of lines that are not plainly rows.

    is_plain: which lines need no look, as they are known to be rows by themselves.
    """
    if is_plain is not None:
        lines, findings = structure.check_lines_beside(body, lines, is_plain, shape, encoding)
        return OddLines(body, lines, shape, findings, is_last=is_last).settle()
    damage = structure.find_damage(body, lines, encoding, shape.line_bytes)
    if not damage and structure.is_sound_throughout(body, lines, shape):
        return Rows(np.full(len(lines.ends), ROW, np.uint8), [], {})
    findings = structure.check_lines(body, lines, shape, damage)
    return OddLines(body, lines, shape, findings, is_last=is_last).settle()


class OddLines:
    """Settles one by one the lines that are neither sound nor blank."""

    def __init__(
        self, body: bytes, lines: Lines, shape: Shape, findings: Findings, *, is_last: bool
    ) -> None:
        self._body = body
        self._lines = lines
        self._shape = shape
        self._findings = findings
        self._is_last = is_last
        self._scanner = RecordScanner(shape)
        self._rows = Rows(np.where(findings.is_sound, ROW, PASSED).astype(np.uint8), [], {})

    def settle(self) -> Rows:
        odd = np.flatnonzero(~(self._findings.is_sound | self._findings.is_blank))
        upcoming = 0
        for line in odd.tolist():
            if line < upcoming:
                continue
            if self._is_single(line):
                self._settle_single(line)
                continue
            start = int(self._lines.starts[line])
            found = self._scanner.scan(self._body, start, is_last=self._is_last)
            if found is None:
                self._rows.roles = self._rows.roles[:line]
                break
            upcoming = self._settle_scanned(line, found)
        return self._rows

    def _is_single(self, line: int) -> bool:
        length = self._lines.ends[line] - self._lines.starts[line]
        return not self._findings.has_quote[line] or length > self._shape.line_bytes

    def _settle_single(self, line: int) -> None:
        damage = self._findings.damage.get(line)
        if damage is not None:
            self._rows.refuse(line, line, damage)
        elif self._shape.field_count == 1 or not self._has_only_blanks(line):
            fields = int(self._lines.delimiters[line]) + 1
            self._rows.refuse(line, line, self._miscount(fields))

    def _has_only_blanks(self, line: int) -> bool:
        return self._lines.delimiters[line] == 0 and not self._text(line).strip()

    def _text(self, line: int) -> bytes:
        return self._body[self._lines.starts[line] : self._lines.ends[line]]

    def _settle_scanned(self, line: int, found: Record | Broken) -> int:
        """Gives the line at which reading goes on."""
        if isinstance(found, Broken):
            self._rows.refuse(line, line, self._findings.damage.get(line, found.reason))
            return line + 1
        last = self._line_of(line, found.end)
        damage = self._damage_within(line, last)
        if len(found.fields) != self._shape.field_count:
            reason = self._miscount(len(found.fields))
            if last > line:
                reason = f"a row over {last - line + 1} lines with {reason}"
            self._rows.refuse(line, line, damage or reason)
            return line + 1
        if damage is not None:
            self._rows.refuse(line, last, damage)
        else:
            self._rows.accept(line, last)
            if found.has_literal_quote:
                self._rows.rewritten[line] = self._scanner.rewrite(found.fields)
        return last + 1

    def _line_of(self, line: int, end: int) -> int:
        if self._lines.ends[line] == end:
            return line
        return int(np.searchsorted(self._lines.ends, end))

    def _damage_within(self, first: int, last: int) -> str | None:
        damage = self._findings.damage
        if not damage:
            return None
        return next((damage[line] for line in range(first, last + 1) if line in damage), None)

    def _miscount(self, fields: int) -> str:
        return f"{fields} field{'' if fields == 1 else 's'}, expected {self._shape.field_count}"
