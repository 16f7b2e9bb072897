"""What the exports folder holds, and what it has to hold, computed from the raw rows."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

from tests.integration.warehouse_rows import Counts, Stats, Warehouse, mean_text

LOANS = "loans/default_liquidation_rolling_avg.csv"
LOANS_HEADER = [
    "repayment_date",
    "loans",
    "defaults",
    "liquidations",
    "liquidation_to_default_ratio",
    "rolling_avg_prev_7d",
    "rolling_avg_trailing_7d",
    "created_at",
]
# Days at the edges of months and years, with sums beyond 64 bits and means that need rounding.
VALUES = {
    date(2022, 12, 31): [1, 2],
    date(2023, 1, 1): [2**63 - 1] * 3,
    date(2023, 1, 5): [-5, 0, 1],
    date(2023, 1, 31): [10**18] * 100,
    date(2023, 2, 1): [7],
    date(2023, 11, 10): [1, 1, 2, 3, 5, 8, 13],
    date(2024, 2, 29): [-(2**63)],
}
COUNTS = {date(2023, 3, 1) + timedelta(days=n): Counts(900, n % 3, n) for n in range(12)}


def tree(folder: Path) -> dict[str, bytes]:
    """The content of every file a reader sees; hidden ones left out, but no folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if not path.name.startswith(".") and (path.is_file() or not any(path.iterdir()))
    }


def hidden(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob(".*")}


def versions(folder: Path) -> dict[str, tuple[int, int]]:
    """What changes when a file is written anew, even with the same content."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*.csv")
    }


def line_of(key: tuple[int, ...], stats: Stats) -> str:
    return ",".join([*map(str, key), *map(str, stats[1:]), mean_text(stats)])


def expected_entity_files(warehouse: Warehouse) -> dict[str, bytes]:
    """Every file below `year=*`, computed from the raw values."""
    files = {}
    numbers = "sum_values,min_values,max_values,mean_values"
    for day in warehouse.values:
        y, m, d = day.year, day.month, day.day
        for header, key, path in (
            ("year", (y,), f"year={y}/entity_stats_yearly_{y}.csv"),
            ("year,month", (y, m), f"year={y}/month={m}/entity_stats_monthly_{y}_{m}.csv"),
            (
                "year,month,day",
                (y, m, d),
                f"year={y}/month={m}/day={d}/entity_stats_daily_{y}_{m}_{d}.csv",
            ),
        ):
            stats = warehouse.stats(*key)
            assert stats
            files[path] = f"{header},{numbers}\n{line_of(key, stats)}\n".encode()
    return files


def assert_tree_is_right(folder: Path, warehouse: Warehouse) -> None:
    """Compares names and bytes of the entity files, and the loans file value by value."""
    found = tree(folder)
    loans = found.pop(LOANS, b"")
    assert found == expected_entity_files(warehouse)
    assert_loans_are_right(loans.decode(), warehouse)


def assert_loans_are_right(content: str, warehouse: Warehouse) -> None:
    if not warehouse.loans:
        assert content == ""
        return
    header, *rows = csv.reader(io.StringIO(content, newline=""))
    assert header == LOANS_HEADER
    assert "\r" not in content
    expected = sorted(warehouse.loans.items())
    assert [row[:4] for row in rows] == [
        [day.isoformat(), *map(str, counts)] for day, counts in expected
    ]
    for row, (day, _) in zip(rows, expected, strict=True):
        for text, rate in zip(row[4:7], warehouse.rates(day), strict=True):
            assert (text == "") == (rate is None)
            if rate is not None:
                assert abs(Fraction(float(text)) - rate) < Fraction(1, 10**9)
                assert text == repr(float(text))
