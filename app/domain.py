"""The values that travel along the flow, from the watcher to the archive."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:  # what moves rows alone needs them, and they take long to import
    import polars as pl

    from app.rules import Contract

YEARS = re.compile(r"(?P<first>[1-9][0-9]{3})(?:-(?P<last>[1-9][0-9]{3}))?")


@dataclass(frozen=True, slots=True)
class Years:
    """Calendar years of a file, both ends included; written `2007` or `2008-2009`."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Reads years as they are written; None where the text is something else."""
        if not (found := YEARS.fullmatch(text)):
            return None
        first, last = int(found["first"]), int(found["last"] or found["first"])
        return cls(first, last) if first <= last else None

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def overlap(self, others: Years) -> bool:
        """Whether some year is among both."""
        return self.first <= others.last and others.first <= self.last


@dataclass(frozen=True, slots=True)
class Arrival:
    """A complete file seen in the imports folder.

    name: the file's name, printable (bytes that are not UTF-8 are backslash-escaped).
    folder: first folder below imports/, lower-cased; None for a file at the top.
    feed: the feed it is known to belong to, where no folder says so.
    years: the only ones to load of it; None for all.
    """

    path: Path
    name: str
    folder: str | None
    file_bytes: int
    discovered_at: datetime
    feed: str | None = None
    years: Years | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """One bad row: where it stands, why it is refused, and its text.

    line_number: physical line of the file, from 1 (the header is line 1), where the row begins;
    for formats without lines, the row's number from 1.
    column_name: the column at fault, None when the row as a whole is.
    """

    line_number: int
    column_name: str | None
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class MessageReject(Reject):
    """One bad message of a stream; line_number is its number in the load, from 1."""

    topic: str
    partition: int
    message_offset: int

    @classmethod
    def of(cls, reject: Reject, topic: str, partition: int, message_offset: int) -> Self:
        """Adds to a reject where its message stands."""
        row = (reject.line_number, reject.column_name, reject.reason, reject.raw)
        return cls(*row, topic, partition, message_offset)


@dataclass(frozen=True, slots=True)
class Batch:
    """A run of rows as read, before any rule of a feed is applied.

    frame: `line_number` and `row_number` (Int64), then one String column per name asked for;
        an empty field is null. row_number counts the data rows from 1, rejected ones included.
        Where types were asked for too, the columns of a batch may have these types instead.
    rejects: rows of the same stretch whose structure is broken; they are not in the frame.
    raw_texts: gives the original text of the rows that begin in these lines.
    bytes_read: how far into the stored file reading has come, for progress.
    text_rows: further rows of the stretch, whose columns are text where the frame's are typed.
    """

    frame: pl.DataFrame
    rejects: Sequence[Reject]
    raw_texts: Callable[[Sequence[int]], list[str]]
    bytes_read: int
    text_rows: pl.DataFrame | None = None

    @property
    def height(self) -> int:
        """How many rows there are, without the rejects."""
        return self.frame.height + (0 if self.text_rows is None else self.text_rows.height)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says of itself beside its rows, and the day it arrived.

    scope: the part of the warehouse the file replaces (entity: its month `YYYY-MM`), or the years
        that were asked for, else None.
    as_of: the day the numbers describe, from the header or else the day of arrival.
    today: the day of arrival, in the time zone of this machine.
    years: the only ones to load; None for all.
    """

    scope: str | None
    as_of: date
    today: date
    years: Years | None = None

    @property
    def month_start(self) -> datetime:
        """First instant of the month in `scope`, without a time zone."""
        return datetime.strptime(f"{self.scope}-01", "%Y-%m-%d")  # noqa: DTZ007 - as stored

    @property
    def month_end(self) -> datetime:
        """First instant after the month in `scope`, without a time zone."""
        return (self.month_start + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a feed's file, under the name it has in the frame.

    aliases: other names it may have in a header; case, blanks and underscores do not matter,
    and `{as_of}` stands for a date YYYY-MM-DD.
    """

    name: str
    aliases: tuple[str, ...] = ()
    optional: bool = False


class Merge(StrEnum):
    """How staged rows reach the warehouse."""

    SCRIPT = "script"  # sql/merge/<pipeline>.sql, from staging.<pipeline>
    MONTH = "month"  # the staged table becomes the month's partition
    APPEND = "append"  # every file has a place of its own, after those loaded before it


def unchanged(frame: pl.DataFrame, _facts: Facts) -> pl.DataFrame:
    """Leaves a frame as it is."""
    return frame


@dataclass(frozen=True, slots=True)
class Appends:
    """Where a feed's rows are appended: the warehouse's table, its key, and the day by which the
    rows of a file are ranked."""

    table: str
    key: str
    day: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """How one feed is matched, read, checked and merged.

    file_name: pattern that a file's name has to contain, matched without case; its groups
        `year` and `month`, where it has them, give the scope.
    columns: those of the header. rest: with it, every further column, named or not, belongs
        to the feed too and is called `<rest>_1`, `<rest>_2`, ...
    contract: gives the rules for a file, from what it says of itself.
    prepare: brings a frame of String columns into the contract's columns, before parsing.
    prepares_text: whether prepare looks at text; without it, columns may come typed, which
        is quicker.
    key: of a feed whose last row of the same key counts, its column; spares copying the others.
    month_key: for feeds whose file is a month, the instant's column and the id's.
    takes_years: whether a load may be of some years of a file only.
    appends: for feeds that append, where to.
    follow: what else a load's rows change, in its transaction: takes the driver connection, the
        scripts and the `store.appends.Appended`; for feeds that append.
    looks_like: the file name as people write it, for messages.
    """

    name: str
    looks_like: str
    file_name: re.Pattern[str]
    columns: tuple[Column, ...]
    contract: Callable[[Facts], type[Contract]]
    merge: Merge = Merge.SCRIPT
    prepare: Callable[[pl.DataFrame, Facts], pl.DataFrame] = unchanged
    prepares_text: bool = True
    rest: str | None = None
    key: str | None = None
    month_key: tuple[str, str] | None = None
    takes_years: bool = False
    appends: Appends | None = None
    follow: Callable[[Any, Any, Any], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Where a file goes: its pipeline, its facts, and a name for each field of its header."""

    pipeline: Pipeline
    facts: Facts
    names: tuple[str, ...]


class LoadStatus(StrEnum):
    """The states of a load in the ledger."""

    RUNNING = "running"
    LOADED = "loaded"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Tally:
    """What reading a file to its end has shown.

    days: the days of the staged rows, for feeds whose file is a month.
    keys_differ: whether the rows' keys are known to differ from each other.
    """

    rows_read: int = 0
    rows_staged: int = 0
    days: frozenset[date] = frozenset()
    keys_differ: bool = True


@dataclass(frozen=True, slots=True)
class LoadCounts:
    """Rows of one load by what became of them; deleted ones are the warehouse's, not the file's."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: int = 0
    duplicate: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a file was refused, as the note beside it says: the parts of a FileError."""

    found: str
    expected: str
    what_to_do: str
    line_number: int | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """How one load ended.

    filed_path: where the file is kept now; None when it was deleted or is still in imports/.
    fault: of a quarantined file.
    """

    load_id: int
    pipeline: str | None
    file_name: str
    status: LoadStatus
    counts: LoadCounts
    error: str | None = None
    filed_path: str | None = None
    fault: Fault | None = None
