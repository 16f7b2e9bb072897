"""The oracle's own reading of a file: bytes -> good rows and how many are bad, in plain Python."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import PurePath
from typing import Any

DAY = re.compile(r"\d{4}-\d\d-\d\d")
INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
WHOLE = re.compile(r"-?\d+")
MONTH = re.compile(r"entity_?(\d{4})[-_](\d\d)(?![-_]?\d)")
LOANS_HEADER = re.compile(
    r"date of repayment,number of loans,"
    r"default \(as of (\d{4}-\d\d-\d\d)\),liquidation \(as of \1\)"
)
LARGEST = 2**63 - 1
BAD_SHARE = 0.1


class HopelessError(Exception):
    """The file as a whole cannot be loaded."""


class BadRowError(Exception):
    """The row breaks a rule."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file brings: its feed, its month or as-of date where it has one, and its rows."""

    feed: str
    scope: str | None
    as_of: date | None
    rows: Sequence[Any]
    rejected: int

    @property
    def read(self) -> int:
        return len(self.rows) + self.rejected

    @property
    def is_refused(self) -> bool:
        """Whether too many of its rows are bad."""
        return self.rejected > BAD_SHARE * self.read


def read(name: str, body: bytes) -> Content:
    """Reads a file of that name (with its folder's); raises HopelessError for one of no feed."""
    path = PurePath(name)
    header, rows = table_of(path.name, body)
    names = [re.sub(r"[\s_]+", " ", each.strip().lower()) for each in header]
    if "title" in path.name:
        return _content("job_titles", None, names[:2] == ["title", "pdl count"], rows, names, title)
    if "rejected" in path.name:
        good = names[:2] == ["amount requested", "application date"]
        return _content("risk_scores", None, good, rows, names, application)
    if found := MONTH.search(path.name):
        month = f"{found[1]}-{found[2]}"
        return _month(month, names, rows)
    if "loans" in name:
        return _loans(names, rows)
    raise HopelessError(name)


def table_of(name: str, body: bytes) -> tuple[list[str], list[list[str]]]:
    """The fields of the header and of each row."""
    if name.endswith(".gz"):
        try:
            body = gzip.decompress(body)
        except (EOFError, OSError, zlib.error) as cut_off:
            raise HopelessError(name) from cut_off
    text = text_of(body)
    delimiter = max(",;\t|", key=text.split("\n", 1)[0].count)
    table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    if not table:
        raise HopelessError(name)
    return table[0], table[1:]


def text_of(body: bytes) -> str:
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", errors="replace")


RowReader = Callable[[dict[str, str]], Any]


def _content(
    feed: str,
    scope: str | None,
    is_known: bool,
    rows: Sequence[list[str]],
    names: Sequence[str],
    read_row: RowReader,
    as_of: date | None = None,
) -> Content:
    if not is_known:
        raise HopelessError(feed)
    good = []
    for fields in rows:
        if len(fields) != len(names):
            continue
        try:
            good.append(read_row(dict(zip(names, fields, strict=True))))
        except BadRowError:
            continue
    return Content(feed, scope, as_of, good, rejected=len(rows) - len(good))


def _loans(names: list[str], rows: Sequence[list[str]]) -> Content:
    dated = LOANS_HEADER.fullmatch(",".join(names))
    plain = names == ["repayment date", "loans", "defaults", "liquidations"]
    as_of = date.fromisoformat(dated[1]) if dated else None
    names = ["day", "loans", "defaults", "liquidations"]
    return _content("loans", None, plain or bool(dated), rows, names, loan, as_of)


def _month(month: str, names: list[str], rows: Sequence[list[str]]) -> Content:
    known = names in (["created at", "value"], ["created at", "entity id", "value"])
    if "entity id" not in names:
        rows = [[*fields, str(number)] for number, fields in enumerate(rows, 1)]
        names = [*names, "entity id"]

    def value(fields: dict[str, str]) -> tuple[str, int, int]:
        at = fields["created at"]
        if not INSTANT.fullmatch(at) or not at.startswith(month):
            raise BadRowError
        try:
            datetime.fromisoformat(at)
        except ValueError as error:
            raise BadRowError from error
        return at, whole(fields["entity id"]), whole(fields["value"])

    return _content("entity", month, known, rows, names, value)


def whole(text: str) -> int:
    if not WHOLE.fullmatch(text) or abs(number := int(text)) > LARGEST:
        raise BadRowError
    return number


def count(text: str) -> int:
    if (number := whole(text)) < 0:
        raise BadRowError
    return number


def day(text: str) -> date:
    try:
        found = date.fromisoformat(text) if DAY.fullmatch(text) else None
    except ValueError as error:
        raise BadRowError from error
    if found is None or found > datetime.now(UTC).date():
        raise BadRowError
    return found


def loan(fields: dict[str, str]) -> tuple[date, tuple[int, int, int]]:
    counts = (count(fields["loans"]), count(fields["defaults"]), count(fields["liquidations"]))
    if counts[1] + counts[2] > counts[0]:
        raise BadRowError
    return day(fields["day"]), counts


def tidy(text: str) -> str:
    return " ".join(text.lower().split())


def title(fields: dict[str, str]) -> tuple[str, int, list[str]]:
    name, held = tidy(fields["title"]), count(fields["pdl count"])
    if not name:
        raise BadRowError
    terms = [tidy(text) for text in list(fields.values())[2:]]
    return name, held, [term for term in dict.fromkeys(terms) if term]


def application(fields: dict[str, str]) -> dict[str, object]:
    """A row's values by column, empty ones as None, numbers as exact text."""
    amount, score = number_text(fields["amount requested"]), number_text(fields["risk score"])
    ratio = number_text(fields["debt-to-income ratio"].removesuffix("%"))
    code = int(fields["policy code"])
    if amount is None or "-" in amount or (score and "-" in score) or code > 32767:
        raise BadRowError
    return {
        "application_date": day(fields["application date"]),
        "amount_requested": amount,
        "loan_title": fields["loan title"] or None,
        "risk_score": score,
        "debt_to_income": ratio,
        "zip_code": fields["zip code"],
        "state": fields["state"],
        "employment_length": fields["employment length"],
        "policy_code": code,
    }


def number_text(text: str) -> str | None:
    """The number without trailing zeros, as the warehouse shows it; None for an empty field."""
    if not text:
        return None
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        raise BadRowError
    whole_part, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0")
    return f"{whole_part}.{decimals}" if decimals else whole_part
