"""Files that nobody can load: of no feed, with another header, empty, cut off, mostly wrong."""

from __future__ import annotations

import gzip
import random

from tests.soak.written import Written

LANE = "nowhere"
GOOD = b"repayment_date,loans,defaults,liquidations\n"


class BadPeople:
    """Makes one bad file after the other."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw

    def next(self, number: int) -> Written:
        name, body = self._draw.choice(
            (
                ("customers.csv", b"id,name\n1,a\n"),
                ("loans_of_another_header.csv", b"day,count\n2022-01-01,5\n"),
                ("entity_2023-02-03.csv", b"created_at,value\n2023-02-03 00:00:00,5\n"),
                ("loans_empty.csv", b""),
                ("loans_noise.csv", self._draw.randbytes(2000)),
                ("loans_cut_off.csv.gz", gzip.compress(GOOD + self._rows(500), mtime=0)[:-300]),
                ("loans_mostly_wrong.csv", GOOD + self._rows(20) + b"soon,1,1,1\n" * 5),
                ("titles_mostly_wrong.csv", b"title,pdl count\ncook,1\n" + b",2\n" * 3),
            )
        )
        return Written(f"{number}_{name}", body, LANE)

    def _rows(self, count: int) -> bytes:
        """Good rows, of days that must not come into the warehouse."""
        draw = self._draw
        lines = [f"2019-01-{1 + n % 28:02},{draw.randint(10, 10**6)},1,1" for n in range(count)]
        return "\n".join([*lines, ""]).encode()
