"""Declined applications as they are sent: new files, files corrected, and files sent twice."""

from __future__ import annotations

import random

from tests.applications import HEADER, Application, some_applications
from tests.soak.written import Form, Row, Written, with_bad_rows

LANE = "risk_scores"
BAD: tuple[Row, ...] = (
    ("-1", "2007-05-26", "car", "600", "1%", "123xx", "NM", "1 year", "0"),
    ("many", "2007-05-26", "car", "600", "1%", "123xx", "NM", "1 year", "0"),
    ("5", "2007-02-30", "car", "600", "1%", "123xx", "NM", "1 year", "0"),
    ("5", "", "car", "600", "1%", "123xx", "NM", "1 year", "0"),
    ("5", "2007-05-26", "car", "-600", "1%", "123xx", "NM", "1 year", "0"),
    ("5", "2007-05-26", "car", "600", "1%", "123xx", "NM", "1 year", "40000"),
    ("5", "2007-05-26", "car"),
)


class ScorePeople:
    """Makes one file of applications after the other."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._files: dict[str, list[bytes]] = {}
        self._rows: dict[str, list[Application]] = {}
        self._first = 1

    def next(self, number: int) -> Written:
        draw, kind = self._draw, self._draw.random()
        if not self._files or kind < 0.5:
            return self._new(number)
        name = draw.choice(list(self._files))
        if kind < 0.6:
            twin = draw.choice(self._files[name])
            ending = name.split("_rejected", 1)[1]
            return self._keep(Written(f"{number}_rejected{ending}", twin, LANE), self._rows[name])
        if kind < 0.7:  # what it held before, or holds now
            return self._keep(Written(name, draw.choice(self._files[name]), LANE, keeps_name=True))
        return self._corrected(name)

    def _new(self, number: int) -> Written:
        rows = some_applications(self._draw.randint(5, 250), seed=number, first=self._first)
        self._first += len(rows)
        return self._keep(self._written(f"{number}_rejected.csv", rows), rows)

    def _corrected(self, name: str) -> Written:
        draw = self._draw
        rows = list(self._rows[name])
        for position in draw.sample(range(len(rows)), min(len(rows), draw.randint(1, 6))):
            rows[position] = some_applications(1, draw.randint(1, 1 << 30), position + 1)[0]
        del rows[draw.randint(1, len(rows)) :]
        more = some_applications(draw.randint(0, 20), draw.randint(1, 1 << 30), self._first)
        self._first += len(more)
        rows += more
        return self._keep(self._written(name, rows, keeps_name=True), rows)

    def _written(self, name: str, rows: list[Application], *, keeps_name: bool = False) -> Written:
        lines: list[Row] = [row.fields for row in rows]
        if len(lines) > 40 and self._draw.random() < 0.3:
            lines = with_bad_rows(self._draw, lines, BAD)
        form = Form(",", "utf-8", "\n", ".csv", is_packed=False)
        _, body = form.file("", HEADER, lines)
        return Written(name, body, LANE, keeps_name)

    def _keep(self, written: Written, rows: list[Application] | None = None) -> Written:
        self._files.setdefault(written.name, []).append(written.body)
        if rows is not None:
            self._rows[written.name] = rows
        return written
