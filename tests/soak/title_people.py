"""Job titles as they are sent: in many scripts, repeated, with blanks, with terms that move."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.soak.written import Row, Written, some_form, with_bad_rows

LANE = "job_titles"
WORDS = ("Chef", "  data  Engineer", "café owner", "Night\u00a0porter", "AUDITOR", "x-ray nurse")
FURTHER_SCRIPTS = ("инженер", "技術者", "مهندس", "Μηχανικός β")
BAD: Sequence[Row] = (
    ("", 5, "a", "b"),
    ("   ", 5, "a", "b"),
    ("cook", -1, "a", "b"),
    ("cook", "few", "a", "b"),
    ("cook", 5, "a"),
    ("cook", 5, "a", "b", "c"),
)


class TitlePeople:
    """Makes one file of job titles after the other."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw

    def next(self, number: int) -> Written:
        draw = self._draw
        form = some_form(draw)
        words = WORDS if form.encoding == "cp1252" else WORDS + FURTHER_SCRIPTS
        rows = [self._row(words) for _ in range(draw.randint(5, 60))]
        if len(rows) > 20 and draw.random() < 0.3:
            rows = with_bad_rows(draw, rows, BAD)
        header = ("Title", "pdl count", "top related titles", draw.choice(("", "more")))
        name, body = form.file(f"{number}_titles", header, rows)
        return Written(name, body, LANE)

    def _row(self, words: Sequence[str]) -> Row:
        draw = self._draw
        title = f"{draw.choice(words)} {draw.randint(1, 80)}"
        terms = [draw.choice(("", f"Term {draw.randint(1, 9)} ", "term 1")) for _ in range(2)]
        return (title, draw.randint(0, 10_000), *terms)
