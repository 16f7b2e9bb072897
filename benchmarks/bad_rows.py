"""Row 5: a month file with one bad row in a thousand, beside the same file without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.files import month_frame, write_month
from benchmarks.months import FORGET_MONTH, ROWS
from benchmarks.results import Measured, Timer, faster
from benchmarks.stand import Stand, stand

BAD_EVERY = 1_000
TARGET = 0.7

Spoil = Callable[[bytes, bytes, bytes], bytes]
"""Gives a bad line, from the id, the instant and the value of a good one."""

# Every kind of badness that the reader and the contract of entity tell apart.
KINDS: Mapping[str, Spoil] = {
    "too few fields": lambda entity, at, _: b"%s,%s" % (entity, at),
    "too many fields": lambda entity, at, value: b"%s,%s,%s,%s" % (entity, at, value, value),
    "unclosed quote": lambda entity, at, value: b'%s,"%s,%s' % (entity, at, value),
    "text after a quote": lambda entity, at, value: b'%s,"%s" x,%s' % (entity, at, value),
    "NUL byte": lambda entity, at, value: b"%s,%s,%s\0" % (entity, at, value),
    "undecodable byte": lambda entity, at, value: b"%s,%s,%s\x81" % (entity, at, value),
    "empty id": lambda _, at, value: b",%s,%s" % (at, value),
    "empty instant": lambda entity, _, value: b"%s,,%s" % (entity, value),
    "empty value": lambda entity, at, _: b"%s,%s," % (entity, at),
    "not a number": lambda entity, at, _: b"%s,%s,many" % (entity, at),
    "a fraction": lambda entity, at, value: b"%s,%s,%s.5" % (entity, at, value),
    "beyond 64 bits": lambda entity, at, _: b"%s,%s,9223372036854775808" % (entity, at),
    "an unreadable date": lambda entity, at, value: b"%s,%s,%s" % (entity, at[8:], value),
    "a day there is not": lambda entity, at, value: (
        b"%s,2023-01-32%s,%s" % (entity, at[10:], value)
    ),
    "before the month": lambda entity, at, value: b"%s,2022-12-31%s,%s" % (entity, at[10:], value),
    "after the month": lambda entity, at, value: b"%s,2023-02-01%s,%s" % (entity, at[10:], value),
}
# Stands once: a thousand of them would be most of the file.
TOO_LONG = b"x" * (1 << 20 | 1)


def measure(timer: Timer, quick: bool) -> Iterator[Measured]:
    """Measures both files through the same running service."""
    with stand() as ready:
        yield compare(ready, timer, ROWS // 10 if quick else ROWS)


def compare(stand: Stand, timer: Timer, rows: int) -> Measured:
    """Drops the clean file and the spoilt one in turn, and checks what became of every row."""
    clean_file = write_month(month_frame(2023, 1, rows), stand.folder / "entity_2023_01.csv")
    spoilt_file = stand.folder / "entity_2023_01_spoilt.csv"
    bad_lines = write_spoilt(clean_file, spoilt_file)
    spoilt, clean = [], []
    for _ in timer.repetitions("row 5, run"):
        clean.append(drop(stand, clean_file))
        require_counted(stand, rows, [])
        spoilt.append(drop(stand, spoilt_file))
        require_counted(stand, rows, bad_lines)
    work = f"a fresh month of {rows:,} rows, one in {BAD_EVERY:,} bad, in {len(KINDS) + 1} ways"
    ways = f"the ways: {', '.join(KINDS)}, a line over 1 MiB"
    command = f"Sluice: the same month without bad rows; {ways}"
    return faster("5", work, spoilt, command, clean, TARGET)


def write_spoilt(clean_file: Path, spoilt_file: Path) -> list[int]:
    """Writes the file with a thousandth of its lines spoilt, and gives their numbers."""
    lines = clean_file.read_bytes().split(b"\n")
    bad_lines = spoil(lines)
    spoilt_file.write_bytes(b"\n".join(lines))
    return bad_lines


def spoil(lines: list[bytes]) -> list[int]:
    """Makes one data line in a thousand bad, one kind after the other; gives their numbers.

    lines: of the file, the header first. Numbers are from 1, as in the ledger of rejects.
    """
    spoils = list(KINDS.values())
    bad = range(BAD_EVERY // 2, len(lines) - 1, BAD_EVERY)
    for number, line in enumerate(bad):
        entity, at, value = lines[line].split(b",")
        lines[line] = spoils[number % len(spoils)](entity, at, value)
    lines[bad[0]] += TOO_LONG
    return [line + 1 for line in bad]


def drop(stand: Stand, path: Path) -> float:
    """Drops a file as the first of its month."""
    stand.execute("DELETE FROM ops.reject", *FORGET_MONTH, "CHECKPOINT")
    return stand.drop(path)


def require_counted(stand: Stand, rows: int, bad_lines: list[int]) -> None:
    """Raises RuntimeError unless exactly these lines are rejects, and all others are loaded."""
    counted = stand.value("SELECT ARRAY[rows_read, rows_inserted, rows_rejected] FROM ops.load")
    rejected = stand.value("SELECT array_agg(line_number ORDER BY line_number) FROM ops.reject")
    loaded = stand.value("SELECT count(*) FROM warehouse.entity")
    good = rows - len(bad_lines)
    if counted != [rows, good, len(bad_lines)] or loaded != good or (rejected or []) != bad_lines:
        wrong = sorted(set(rejected or []) ^ set(bad_lines))
        raise RuntimeError(f"{counted} counted, {loaded} loaded; lines judged wrongly: {wrong[:5]}")
