"""What the rules make of files, in plain Python, written from the design alone.

A file is read into rows and rejects, and applied to a `Warehouse`, which says how the ledger has to
tell of it. Only what the model's files need is here: text with commas and without quotes.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

MAX_REJECTED_RATIO = 0.5

Place = tuple[str | None, str | None]
Row = tuple[Any, ...]
Counts = dict[str, int]
Fields = Sequence[str]

DATED_HEADER = re.compile(
    r"date of repayment,number of loans,"
    r"default \(as of (\d{4}-\d{2}-\d{2})\),liquidation \(as of \1\)"
)
MONTH = re.compile(r"(\d{4})[-_](\d{2})")


@dataclass(frozen=True)
class Reading:
    """A file's rows; the whole file is refused where `is_refused`.

    place: what it may be a duplicate in. rows_read: None where the rows cannot be counted.
    """

    place: Place
    rows: Sequence[Row] = ()
    rows_read: int | None = None
    is_refused: bool = False


REFUSED = Reading((None, None), is_refused=True)


def read_file(path: str, content: bytes, arrived_on: date) -> Reading:
    """Reads a file that was dropped under that path below the imports folder."""
    try:
        plain = gzip.decompress(content) if path.endswith(".gz") else content
    except (EOFError, OSError, zlib.error):
        return REFUSED
    lines = [line.split(",") for line in decode(plain).split("\n") if line]
    feed = feed_of(path)
    if not feed or not lines:
        return REFUSED
    header = [re.sub("[ _]+", "_", name.strip().lower()) for name in lines[0]]
    if feed == "loans":
        return read_loans([name.replace("_", " ") for name in header], lines[1:], arrived_on)
    if feed == "entity":
        return read_entity(header, lines[1:], path)
    return read_titles(header, lines[1:])


def decode(plain: bytes) -> str:
    try:
        return plain.decode()
    except UnicodeDecodeError:
        return plain.decode("cp1252", errors="replace")


def feed_of(path: str) -> str | None:
    if "/" in path:
        return path.split("/", 1)[0]
    words = {"loans": "loans", "entity": "entity", "title": "job_titles"}
    return next((feed for word, feed in words.items() if word in path), None)


def collect(
    place: Place, width: int, rows: Sequence[Fields], read: Callable[[int, Fields], Row | None]
) -> Reading:
    """Reads the rows one by one; too many rejects refuse the file."""
    good = [
        row
        for position, fields in enumerate(rows, 1)
        if len(fields) == width and (row := read(position, fields))
    ]
    is_refused = len(rows) - len(good) > MAX_REJECTED_RATIO * len(rows)
    return Reading(place, good, len(rows), is_refused)


def whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def read_loans(header: Fields, rows: Sequence[Fields], arrived_on: date) -> Reading:
    dated = DATED_HEADER.fullmatch(",".join(header))
    if header == ["repayment date", "loans", "defaults", "liquidations"]:
        as_of = arrived_on
    elif dated:
        as_of = date.fromisoformat(dated[1])
    else:
        return REFUSED

    def read(_position: int, fields: Fields) -> Row | None:
        on = day(fields[0])
        counts = [whole(text) for text in fields[1:]]
        if on is None or on > arrived_on or any(count is None or count < 0 for count in counts):
            return None
        loans, defaults, liquidations = (count or 0 for count in counts)
        if defaults + liquidations > loans:
            return None
        return (on, loans, defaults, liquidations, as_of)

    return collect(("loans", None), 4, rows, read)


def read_entity(header: Fields, rows: Sequence[Fields], path: str) -> Reading:
    month = MONTH.search(path)
    if month is None or header not in (
        ["created_at", "value"],
        ["created_at", "entity_id", "value"],
    ):
        return REFUSED
    scope = f"{month[1]}-{month[2]}"
    first = date(int(month[1]), int(month[2]), 1)
    after = (first + timedelta(days=31)).replace(day=1)

    def read(position: int, fields: Fields) -> Row | None:
        try:
            at = datetime.fromisoformat(fields[0])
        except ValueError:
            return None
        entity_id = whole(fields[1]) if len(header) == 3 else position
        value = whole(fields[-1])
        if not first <= at.date() < after or entity_id is None or value is None:
            return None
        return (at, entity_id, value)

    return collect(("entity", scope), len(header), rows, read)


def read_titles(header: Fields, rows: Sequence[Fields]) -> Reading:
    if header[:2] != ["title", "pdl_count"]:
        return REFUSED

    def read(_position: int, fields: Fields) -> Row | None:
        title, count = tidy(fields[0]), whole(fields[1])
        if not title or count is None or count < 0:
            return None
        terms = tuple(dict.fromkeys(term for text in fields[2:] if (term := tidy(text))))
        return (title, count, terms)

    return collect(("job_titles", None), len(header), rows, read)


def tidy(text: str) -> str:
    return " ".join(text.lower().split())


@dataclass
class Warehouse:
    """What the tables hold, and the latest loaded content of each place."""

    loans: dict[date, tuple[int, int, int, date, int]] = field(default_factory=dict)
    entity: dict[tuple[datetime, int], int] = field(default_factory=dict)
    titles: dict[str, tuple[int, tuple[str, ...], int]] = field(default_factory=dict)
    latest: dict[Place, str] = field(default_factory=dict)

    def bring(self, reading: Reading, sha256: str, load_id: int) -> tuple[str, Counts | None]:
        """Brings a file in; gives its status and counts, None where they cannot be known."""
        if reading.is_refused:
            read = reading.rows_read
            return "quarantined", None if read is None else {"read": read, "rejected": read}
        if self.latest.get(reading.place) == sha256:
            return "duplicate", {}
        self.latest[reading.place] = sha256
        feed, scope = reading.place
        if feed == "loans":
            counts = self._bring_loans(reading, load_id)
        elif feed == "entity":
            counts = self._bring_month(reading, str(scope))
        else:
            counts = self._bring_titles(reading, load_id)
        assert reading.rows_read is not None
        counts |= {"read": reading.rows_read, "rejected": reading.rows_read - len(reading.rows)}
        return "loaded", {name: count for name, count in counts.items() if count}

    def _bring_loans(self, reading: Reading, load_id: int) -> Counts:
        newest = {row[0]: row[1:] for row in reading.rows}
        inserted = updated = 0
        for on, (loans, defaults, liquidations, as_of) in newest.items():
            kept = self.loans.get(on)
            if kept is None:
                inserted += 1
            elif as_of < kept[3]:
                continue
            elif (loans, defaults, liquidations) == kept[:3]:
                self.loans[on] = (*kept[:3], as_of, kept[4])
                continue
            else:
                updated += 1
            self.loans[on] = (loans, defaults, liquidations, as_of, load_id)
        return {
            "inserted": inserted,
            "updated": updated,
            "unchanged": len(newest) - inserted - updated,
            "duplicate": len(reading.rows) - len(newest),
        }

    def _bring_month(self, reading: Reading, scope: str) -> Counts:
        new = {(at, entity_id): value for at, entity_id, value in reading.rows}
        old = {key: value for key, value in self.entity.items() if f"{key[0]:%Y-%m}" == scope}
        for key in old:
            del self.entity[key]
        self.entity.update(new)
        same = {key for key in new.keys() & old.keys() if new[key] == old[key]}
        return {
            "inserted": len(new.keys() - old.keys()),
            "updated": len(new.keys() & old.keys()) - len(same),
            "unchanged": len(same),
            "deleted": len(old.keys() - new.keys()),
            "duplicate": len(reading.rows) - len(new),
        }

    def _bring_titles(self, reading: Reading, load_id: int) -> Counts:
        merged: dict[str, tuple[int, tuple[str, ...]]] = {}
        # Stable: of equal counts the earlier line's terms come first.
        for title, count, terms in sorted(reading.rows, key=lambda row: -row[1]):
            largest, before = merged.get(title, (count, ()))
            merged[title] = largest, tuple(dict.fromkeys((*before, *terms)))
        inserted = updated = 0
        for title, (count, terms) in merged.items():
            kept = self.titles.get(title)
            if kept is not None and kept[:2] == (count, terms):
                continue
            inserted += kept is None
            updated += kept is not None
            self.titles[title] = (count, terms, load_id)
        return {
            "inserted": inserted,
            "updated": updated,
            "unchanged": len(merged) - inserted - updated,
            "duplicate": len(reading.rows) - len(merged),
        }
