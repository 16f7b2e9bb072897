"""Rows as files of the dialects that people's programs write."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PLAIN = (",", "utf-8", "\n", ".csv")
FORMS = (
    PLAIN,
    (",", "utf-8-sig", "\r\n", ".csv"),
    (";", "utf-8", "\n", ".csv"),
    ("\t", "utf-8", "\n", ".tsv"),
    ("|", "utf-16", "\r\n", ".txt"),
    (",", "cp1252", "\n", ".txt"),
)
Row = Sequence[object]


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is about to be dropped.

    name: with the folder of its feed before it, where it goes there. lane: what the service loads
    in order. keeps_name: it corrects the file of its name, so it must not overtake that one.
    """

    name: str
    body: bytes
    lane: str
    keeps_name: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """How the rows of one file are written."""

    delimiter: str
    encoding: str
    line_end: str
    ending: str
    is_packed: bool

    def file(self, stem: str, header: Row, rows: Iterable[Row]) -> tuple[str, bytes]:
        """Gives the file's name with its ending, and its bytes."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator=self.line_end)
        writer.writerow(header)
        writer.writerows(rows)
        body = text.getvalue().encode(self.encoding)
        if self.is_packed:
            return f"{stem}{self.ending}.gz", gzip.compress(body, compresslevel=1, mtime=0)
        return stem + self.ending, body


def some_form(draw: random.Random) -> Form:
    """Mostly plain CSV, at times another dialect, at times packed."""
    dialect = PLAIN if draw.random() < 0.6 else draw.choice(FORMS)
    return Form(*dialect, is_packed=draw.random() < 0.15)


def with_bad_rows(draw: random.Random, rows: Sequence[Row], bad: Sequence[Row]) -> list[Row]:
    """The rows with some bad ones among them: few enough for the file to be taken."""
    mixed = list(rows)
    for _ in range(draw.randint(1, max(1, len(rows) // 20))):
        mixed.insert(draw.randint(0, len(mixed)), draw.choice(bad))
    return mixed
