"""Files of declined applications, with the quirks of the lender's own, as large as asked for."""

from __future__ import annotations

import csv
import gzip
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TextIO

HEADER = (
    "Amount Requested",
    "Application Date",
    "Loan Title",
    "Risk_Score",
    "Debt-To-Income Ratio",
    "Zip Code",
    "State",
    "Employment Length",
    "Policy Code",
)
FIRST_DAY = date(2007, 5, 26)
TITLES = ("debt_consolidation", "other", "Wedding Covered but No Honeymoon", "Car loan", "moving")
ODD_TITLES = (
    "",
    'Consolidating, "once and for all"',
    "Home improvement,\nsecond floor",
    "Crédit rénovation",
)
STATES = ("CA", "TX", "NY", "FL", "NM", "MA", "")
EMPLOYMENT = ("< 1 year", "1 year", "4 years", "10+ years", "5 years", "")
ROWS_AT_ONCE = 10_000


def write_applications(path: Path, rows: int, days: int = 950, seed: int = 2007) -> None:
    """Writes a file of so many rows over so many days, the same one for the same arguments.

    Rows mostly come by date, as from the lender; one in a thousand is of an earlier day.
    """
    numbers = random.Random(seed)
    with opened(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for first in range(0, rows, ROWS_AT_ONCE):
            some = range(first, min(rows, first + ROWS_AT_ONCE))
            writer.writerows(make_rows(some, rows, days, numbers))


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Opens a file to write text to, compressed where its name says so."""
    if path.suffix == ".gz":
        with gzip.open(path, "wt", compresslevel=1, newline="", encoding="utf-8") as file:
            yield file
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        yield file


def make_rows(some: range, rows: int, days: int, numbers: random.Random) -> Iterator[list[str]]:
    """Gives the rows at these positions as their fields."""
    for position in some:
        back = numbers.randrange(1, 30) if numbers.random() < 0.001 else 0
        day = FIRST_DAY + timedelta(days=max(0, position * days // rows - back))
        yield [
            f"{numbers.randrange(500, 40_000, 25)}.0",
            day.isoformat(),
            numbers.choice(ODD_TITLES if numbers.random() < 0.02 else TITLES),
            make_score(numbers),
            make_ratio(numbers),
            f"{numbers.randrange(1000):03}xx",
            numbers.choice(STATES),
            numbers.choice(EMPLOYMENT),
            numbers.choice(("0", "0.0", "2")),
        ]


def make_score(numbers: random.Random) -> str:
    """Gives a score; three in ten have none, a few are 0."""
    share = numbers.random()
    if share < 0.3:
        return ""
    return "0.0" if share < 0.305 else f"{numbers.randrange(300, 851)}.0"


def make_ratio(numbers: random.Random) -> str:
    share = numbers.random()
    if share < 0.02:
        return "-1%"
    return f"{numbers.randrange(0, 100)}%" if share < 0.3 else f"{numbers.uniform(0, 60):.2f}%"


if __name__ == "__main__":
    write_applications(Path(sys.argv[1]), int(sys.argv[2]))
