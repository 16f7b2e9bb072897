"""The values that travel along the flow, from the watcher to the archive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import polars as pl


@dataclass(frozen=True, slots=True)
class Arrival:
    """A complete file seen in the imports folder.

    name: the file's name, printable (bytes that are not UTF-8 are backslash-escaped).
    folder: first folder below imports/, lower-cased; None for a file at the top.
    """

    path: Path
    name: str
    folder: str | None
    file_bytes: int
    discovered_at: datetime


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
class Batch:
    """A run of rows as read, before any rule of a feed is applied.

    frame: `line_number` and `row_number` (Int64), then one String column per name asked for;
        an empty field is null. row_number counts the data rows from 1, rejected ones included.
    rejects: rows of the same stretch whose structure is broken; they are not in the frame.
    raw_texts: gives the original text of the frame's rows at the given positions.
    bytes_read: how far into the stored file reading has come, for progress.
    """

    frame: pl.DataFrame
    rejects: Sequence[Reject]
    raw_texts: Callable[[Sequence[int]], list[str]]
    bytes_read: int


class LoadStatus(StrEnum):
    """The states of a load in the ledger."""

    RUNNING = "running"
    LOADED = "loaded"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    FAILED = "failed"
