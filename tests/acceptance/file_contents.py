"""What is dropped: files made here, and the rows the warehouse should hold after them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from datetime import date, datetime, timedelta

Loans = Mapping[date, tuple[int, int, int]]
Values = Mapping[tuple[datetime, int], int]
FIRST_DAY = date(2022, 1, 1)
FIRST_INSTANT = datetime(2023, 1, 1)  # noqa: DTZ001 - the feed's instants have no zone


def some_loans(days: int, seed: int = 0) -> dict[date, tuple[int, int, int]]:
    """That many days of loans; another seed gives other numbers."""
    return {
        FIRST_DAY + timedelta(days=n): (100 + (n * 7 + seed) % 50, (n + seed) % 9, n % 5)
        for n in range(days)
    }


def loans_csv(loans: Loans, as_of: str = "2023-05-09") -> bytes:
    """A loans file as it comes."""
    header = (
        f"Date of Repayment,Number of Loans,Default (as of {as_of}),Liquidation (as of {as_of})"
    )
    lines = [f"{day},{counts[0]},{counts[1]},{counts[2]}" for day, counts in loans.items()]
    return "\n".join([header, *lines, ""]).encode()


def some_values(
    count: int, seed: int = 0, first: datetime = FIRST_INSTANT
) -> dict[tuple[datetime, int], int]:
    """That many values from that instant on, in order; another seed gives other values."""
    return {
        (first + timedelta(seconds=20 * n), n + 1): (n * 31 + seed * 7919) % 100_003
        for n in range(count)
    }


def entity_csv(values: Values) -> bytes:
    """A month file with ids."""
    lines = [f"{at},{number},{value}" for (at, number), value in values.items()]
    return "\n".join(["created_at,entity_id,value", *lines, ""]).encode()


def titles_csv(titles: Mapping[str, int]) -> bytes:
    lines = [f"{title},{count},friend of {title}" for title, count in titles.items()]
    return "\n".join(["title,pdl count,top related titles", *lines, ""]).encode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
