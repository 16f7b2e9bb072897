"""Loans as they are sent: snapshots of days, late ones, corrections, floods, the same once more."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from datetime import date, timedelta

from tests.soak.written import Row, Written, some_form, with_bad_rows

LANE = "loans"
FIRST_DAY = date(2022, 1, 1)
FIRST_PLAIN_DAY = date(2020, 1, 1)  # their as-of date is the day they arrive, so they stand apart
DAYS = 500
PLAIN_DAYS = 60
FIRST_AS_OF = date(2023, 6, 1)
BAD: Sequence[Row] = (
    ("2022-13-01", 5, 1, 1),
    ("2022-02-30", 5, 1, 1),
    ("someday", 5, 1, 1),
    ("", 5, 1, 1),
    ("2022-05-05", -1, 0, 0),
    ("2022-05-05", "many", 0, 0),
    ("2022-05-05", 5, 4, 2),
    ("2022-05-05", 5, 1),
    ("2022-05-05", 5, 1, 1, 9),
    ("2999-01-01", 5, 1, 1),
    ("2022-05-05", "9" * 19, 1, 1),
)


class LoansPeople:
    """Makes one loans file after the other."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._sent: deque[Written] = deque(maxlen=40)

    def next(self, number: int) -> Written:
        """Gives the next file; now and then one that was sent before, under another name."""
        draw = self._draw
        if self._sent and draw.random() < 0.12:
            # Half of them follow their like at once: these are duplicates.
            again = self._sent[-1] if draw.random() < 0.5 else draw.choice(self._sent)
            ending = again.name.split("_as_sent", 1)[1]
            return Written(f"{number}_loans_as_sent{ending}", again.body, LANE)
        kind = draw.random()
        if kind < 0.15:
            return self._plain(number)
        days = draw.choice((3, 30, 30, 200)) if kind < 0.97 else DAYS
        return self._snapshot(number, days)

    def small(self, number: int) -> Written:
        """Gives one of a flood's files."""
        return self._snapshot(number, self._draw.randint(1, 4), bad_share=0.0)

    def _snapshot(self, number: int, days: int, bad_share: float = 0.3) -> Written:
        draw = self._draw
        as_of = FIRST_AS_OF + timedelta(days=draw.randint(0, 25))
        header: Row = (
            "Date of Repayment",
            draw.choice(("Number of Loans", "number_of_loans")),
            f"Default (as of {as_of})",
            f"Liquidation (as of {as_of})",
        )
        first = FIRST_DAY + timedelta(days=draw.randint(0, max(0, DAYS - days)))
        return self._file(number, header, self._rows(first, days), bad_share)

    def _plain(self, number: int) -> Written:
        first = FIRST_PLAIN_DAY + timedelta(days=self._draw.randint(0, PLAIN_DAYS - 20))
        header = ("repayment_date", "LOANS", "defaults", "liquidations")
        return self._file(number, header, self._rows(first, 20), bad_share=0.2)

    def _rows(self, first: date, days: int) -> list[Row]:
        draw = self._draw
        rows = [self._row(first + timedelta(days=each)) for each in range(days)]
        if draw.random() < 0.1:
            rows.append(self._row(first))  # the last line of a day counts
        if draw.random() < 0.2:
            draw.shuffle(rows)
        return rows

    def _row(self, day: date) -> Row:
        draw = self._draw
        return (
            day,
            draw.randint(50, 90),
            draw.choice((0, draw.randint(1, 20))),
            draw.randint(0, 30),
        )

    def _file(self, number: int, header: Row, rows: list[Row], bad_share: float) -> Written:
        draw = self._draw
        if len(rows) >= 20 and draw.random() < bad_share:
            rows = with_bad_rows(draw, rows, BAD)
        folder = "loans/" if draw.random() < 0.1 else ""
        name, body = some_form(draw).file(f"{number}_loans_as_sent", header, rows)
        written = Written(folder + name, body, LANE)
        self._sent.append(written)
        return written
