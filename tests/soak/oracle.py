"""What has to come of all files ever dropped, by the rules of the feeds, in plain Python.

Files of one lane are taken in the order they were dropped; nothing of app/ is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass, field
from datetime import date
from typing import Any

from tests.soak.oracle_reading import Content, HopelessError, read

Loan = tuple[int, int, int]
Month = dict[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Counts:
    """The row counts of one load."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: int = 0
    duplicate: int = 0


@dataclass(frozen=True, slots=True)
class Fate:
    """How a file's load has to end; counts None where they depend on how far it could be read."""

    status: str
    counts: Counts | None


@dataclass
class Oracle:
    """The warehouse as the files say; `take` one file after the other.

    plain_loans: of files without an as-of date. scores: by file name, in the order of places.
    """

    loans: dict[date, tuple[Loan, date]] = field(default_factory=dict)
    plain_loans: dict[date, Loan] = field(default_factory=dict)
    months: dict[str, Month] = field(default_factory=dict)
    titles: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    scores: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    _latest: dict[tuple[str, str | None], str] = field(default_factory=dict)
    _standing: dict[str, str] = field(default_factory=dict)

    def take(self, name: str, body: bytes, sha256: str) -> Fate:
        """Takes the next file of its lane, and gives what has to become of it."""
        try:
            content = read(name, body)
        except HopelessError:
            return Fate("quarantined", None)
        place = (content.feed, content.scope)
        latest = (
            self._standing.values() if content.feed == "risk_scores" else [self._latest.get(place)]
        )
        if sha256 in latest:
            return Fate("duplicate", Counts())
        if content.is_refused:
            return Fate("quarantined", Counts(read=content.read, rejected=content.read))
        self._latest[place] = sha256
        if content.feed == "risk_scores":
            self._standing[name] = sha256
        return Fate("loaded", self._merge(name, content))

    def _merge(self, name: str, content: Content) -> Counts:
        match content.feed:
            case "loans":
                return self._merge_loans(content)
            case "entity":
                return self._merge_month(content)
            case "job_titles":
                return self._merge_titles(content)
            case _:
                return self._merge_scores(name, content)

    def _merge_loans(self, content: Content) -> Counts:
        given: dict[date, Loan] = dict(content.rows)
        inserted = updated = 0
        for day, counts in given.items():
            kept = self._loan(day)
            inserted += kept is None
            updated += self._put_loan(day, counts, content.as_of) and kept is not None
        return _counts(content, len(given), inserted, updated)

    def _loan(self, day: date) -> Loan | None:
        dated = self.loans.get(day)
        return dated[0] if dated else self.plain_loans.get(day)

    def _put_loan(self, day: date, counts: Loan, as_of: date | None) -> bool:
        """Keeps the day's numbers unless newer ones are there; says whether numbers changed."""
        before = self._loan(day)
        if as_of is None:
            self.plain_loans[day] = counts
        elif day not in self.loans or as_of >= self.loans[day][1]:
            self.loans[day] = (counts, as_of)
        return self._loan(day) != before

    def _merge_month(self, content: Content) -> Counts:
        assert content.scope
        given: Month = {(at, number): value for at, number, value in content.rows}
        kept = self.months.get(content.scope, {})
        self.months[content.scope] = given
        return _counts(
            content,
            len(given),
            inserted=len(given.keys() - kept.keys()),
            updated=sum(kept[key] != given[key] for key in given.keys() & kept.keys()),
            deleted=len(kept.keys() - given.keys()),
        )

    def _merge_titles(self, content: Content) -> Counts:
        given: dict[str, tuple[int, list[str]]] = {}
        # Of a title that stands twice the terms of its largest count come first.
        for name, count, terms in sorted(content.rows, key=lambda row: -row[1]):
            held, known = given.get(name, (count, []))
            given[name] = (held, list(dict.fromkeys([*known, *terms])))
        kept = self.titles
        inserted = len(given.keys() - kept.keys())
        updated = sum(kept[name] != given[name] for name in given.keys() & kept.keys())
        self.titles = kept | given
        return _counts(content, len(given), inserted, updated)

    def _merge_scores(self, name: str, content: Content) -> Counts:
        given = sorted(content.rows, key=lambda row: row["application_date"])
        kept = self.scores.get(name, [])
        self.scores[name] = given
        return _counts(
            content,
            len(given),
            inserted=max(0, len(given) - len(kept)),
            updated=sum(old != new for old, new in zip(kept, given, strict=False)),
            deleted=max(0, len(kept) - len(given)),
        )

    def values(self) -> Iterable[tuple[str, int]]:
        """Day and value of every entity row."""
        for month in self.months.values():
            for (at, _number), value in month.items():
                yield at[:10], value

    def all_loans(self) -> dict[date, Loan]:
        return {day: counts for day, (counts, _as_of) in self.loans.items()} | self.plain_loans


def _counts(content: Content, given: int, inserted: int, updated: int, deleted: int = 0) -> Counts:
    return Counts(
        read=content.read,
        inserted=inserted,
        updated=updated,
        unchanged=given - inserted - updated,
        deleted=deleted,
        rejected=content.rejected,
        duplicate=len(content.rows) - given,
    )


def totals(counts: Iterable[Counts]) -> Counts:
    """The sum of all counts, column by column."""
    columns: list[Any] = [sum(column) for column in zip(*map(astuple, counts), strict=True)]
    return Counts(*columns) if columns else Counts()
