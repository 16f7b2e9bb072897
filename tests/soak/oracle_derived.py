"""The derived tables and the exports, computed from the oracle's rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from fractions import Fraction

from tests.soak.oracle import Loan

LOANS_FILE = "loans/default_liquidation_rolling_avg.csv"
LOANS_HEADER = (
    "repayment_date,loans,defaults,liquidations,liquidation_to_default_ratio,"
    "rolling_avg_prev_7d,rolling_avg_trailing_7d,created_at"
)
NUMBERS = "sum_values,min_values,max_values,mean_values"
Stats = tuple[int, int, int, int]
"""Row count, sum, smallest and largest value."""
Rates = tuple[Fraction | None, Fraction | None, Fraction | None]


def daily(values: Iterable[tuple[str, int]]) -> dict[date, Stats]:
    """The aggregates of each day that has values."""
    of_day: dict[str, list[int]] = defaultdict(list)
    for day, value in values:
        of_day[day].append(value)
    return {
        date.fromisoformat(day): (len(found), sum(found), min(found), max(found))
        for day, found in of_day.items()
    }


def together(stats: Iterable[Stats]) -> Stats:
    counts, sums, smallest, largest = zip(*stats, strict=True)
    return sum(counts), sum(sums), min(smallest), max(largest)


def entity_files(days: Mapping[date, Stats]) -> dict[str, bytes]:
    """Every export file of entity, by its path."""
    months: dict[tuple[int, int], list[Stats]] = defaultdict(list)
    years: dict[int, list[Stats]] = defaultdict(list)
    files = {}
    for day, stats in days.items():
        y, m, d = day.year, day.month, day.day
        months[y, m].append(stats)
        years[y].append(stats)
        path = f"year={y}/month={m}/day={d}/entity_stats_daily_{y}_{m}_{d}.csv"
        files[path] = one_line("year,month,day", f"{y},{m},{d}", stats)
    for (y, m), of_month in months.items():
        path = f"year={y}/month={m}/entity_stats_monthly_{y}_{m}.csv"
        files[path] = one_line("year,month", f"{y},{m}", together(of_month))
    for y, of_year in years.items():
        path = f"year={y}/entity_stats_yearly_{y}.csv"
        files[path] = one_line("year", f"{y}", together(of_year))
    return files


def one_line(keys: str, key: str, stats: Stats) -> bytes:
    count, total, smallest, largest = stats
    mean = mean_text(Fraction(total, count))
    return f"{keys},{NUMBERS}\n{key},{total},{smallest},{largest},{mean}\n".encode()


def mean_text(mean: Fraction) -> str:
    """To 6 decimals, halves away from zero, trailing zeros dropped."""
    millionths = int(abs(mean) * 1_000_000 + Fraction(1, 2))
    whole, part = divmod(millionths, 1_000_000)
    text = f"{whole}.{part:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if mean < 0 and millionths else text


def rates(loans: Mapping[date, Loan], day: date) -> Rates:
    """Ratio of a day, its mean over the 7 days before, and over the day and the 6 before it."""
    before = [day - timedelta(days=n) for n in range(7, 0, -1)]
    return (
        ratio(loans, day),
        mean(ratio(loans, each) for each in before),
        mean(ratio(loans, each) for each in [*before[1:], day]),
    )


def ratio(loans: Mapping[date, Loan], day: date) -> Fraction | None:
    if day not in loans or loans[day][1] == 0:
        return None
    return Fraction(loans[day][2], loans[day][1])


def mean(ratios: Iterable[Fraction | None]) -> Fraction | None:
    known = [each for each in ratios if each is not None]
    return sum(known, Fraction()) / len(known) if known else None


def loans_file(loans: Mapping[date, Loan], created_at: Mapping[date, str]) -> bytes:
    """The export of loans; when each row came to be only the database knows.

    The database computes with doubles, in the order of days, and so does this, to the last digit.
    """
    lines = [LOANS_HEADER]
    for day, counts in sorted(loans.items()):
        before = [day - timedelta(days=n) for n in range(7, 0, -1)]
        doubles = (
            double_ratio(loans, day),
            double_mean(loans, before),
            double_mean(loans, [*before[1:], day]),
        )
        shown = ["" if each is None else repr(each) for each in doubles]
        lines.append(",".join([str(day), *map(str, counts), *shown, created_at.get(day, "?")]))
    return "\n".join([*lines, ""]).encode()


def double_ratio(loans: Mapping[date, Loan], day: date) -> float | None:
    return loans[day][2] / loans[day][1] if day in loans and loans[day][1] else None


def double_mean(loans: Mapping[date, Loan], days: Iterable[date]) -> float | None:
    total, count = 0.0, 0
    for day in days:
        found = double_ratio(loans, day)
        if found is not None:
            total, count = total + found, count + 1
    return total / count if count else None
