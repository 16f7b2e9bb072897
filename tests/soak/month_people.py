"""Months as they are sent again and again: corrected, emptied, the older one once more."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from tests.soak.written import Form, Row, Written, some_form, with_bad_rows

Cells = dict[int, tuple[datetime, int]]
"""Instant and value by id."""


class MonthPeople:
    """Makes one file of the same month after the other."""

    def __init__(self, draw: random.Random, first: datetime, rows: int) -> None:
        self._draw = draw
        self._first = first
        self._rows = rows
        self._lane = f"entity {first:%Y-%m}"
        self._cells = self._some_cells(range(1, rows + 1))
        self._next_id = rows + 1
        self._sent: deque[tuple[bytes, str]] = deque(maxlen=5)

    def next(self, number: int) -> Written:
        """Gives the next file of the month."""
        stem = f"{number}_entity_{self._first:%Y}{self._draw.choice('-_')}{self._first:%m}"
        kind = self._draw.random()
        if self._sent and kind < 0.15:
            # The latest once more is a duplicate; an older one is a new load, and goes back to it.
            body, ending = self._sent[-1] if kind < 0.05 else self._draw.choice(self._sent)
            return Written(stem + ending, body, self._lane)
        name, body = self._make(stem, kind)
        self._sent.append((body, name.removeprefix(stem)))
        return Written(name, body, self._lane)

    def _make(self, stem: str, kind: float) -> tuple[str, bytes]:
        draw = self._draw
        form = some_form(draw)
        if kind < 0.18:
            return form.file(stem, self._header(), [])
        if kind < 0.25:
            return self._without_ids(stem, form)
        share = draw.choice((0.0, 0.002, 0.02, 0.02, 0.5))
        self._correct(round(share * len(self._cells)) + draw.randint(0, 3))
        rows = list(self._lines())
        if draw.random() < 0.15:
            rows += draw.sample(rows, min(len(rows), 5))  # the last row of a key counts
        if draw.random() < 0.15:
            draw.shuffle(rows)
        if draw.random() < 0.3:
            rows = with_bad_rows(draw, rows, self._bad()) if len(rows) < 20_000 else rows
        return form.file(stem, self._header(), rows)

    def _header(self) -> Row:
        return self._draw.choice(
            (("created_at", "entity_id", "value"), ("Created At", "Entity_ID", "VALUE"))
        )

    def _lines(self) -> Iterable[Row]:
        return ((at, number, value) for number, (at, value) in self._cells.items())

    def _without_ids(self, stem: str, form: Form) -> tuple[str, bytes]:
        return form.file(stem, ("created_at", "value"), list(self._cells.values()))

    def _correct(self, count: int) -> None:
        """Changes that many rows; a fifth of them goes, and as many new ones come.

        So the month keeps its size, and the service has no reason to need more and more memory.
        """
        draw = self._draw
        for number in draw.sample(list(self._cells), min(count, len(self._cells))):
            at, value = self._cells[number]
            if draw.random() < 0.2:
                del self._cells[number]
            else:
                self._cells[number] = (at, value + draw.randint(-5, 5))
        new = range(self._next_id, self._next_id + self._rows - len(self._cells))
        self._next_id = new.stop
        self._cells |= self._some_cells(new)

    def _some_cells(self, numbers: Sequence[int]) -> Cells:
        draw, step = self._draw, 26 * 86_400 / max(1, len(numbers))
        return {
            number: (self._first + timedelta(seconds=int(step * n)), draw.randint(-999, 99_999))
            for n, number in enumerate(numbers)
        }

    def _bad(self) -> Sequence[Row]:
        inside = f"{self._first:%Y-%m}-03 10:00:00"
        return (
            (f"{self._first.year + 1}-01-01 00:00:00", 1, 5),
            (f"{self._first:%Y-%m}-42 00:00:00", 1, 5),
            (inside, "", 5),
            (inside, 1, ""),
            (inside, 1, "1.5"),
            (inside, 1, "much"),
            (inside, 1, "9" * 20),
            (inside, 1),
            (inside, 1, 5, 5, 5),
        )
