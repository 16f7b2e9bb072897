"""The main job from end to end: real files in, tables and exports out, as plain Python has it."""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from tests.acceptance.front_door import Daemon, Front

SHARED_FILES = Path(__file__).parents[3] / "shared" / "data"
ROWS_A_MONTH = 50_000
YEAR = 2023

Month = list[tuple[datetime, int]]


def real_file(name: str) -> Path:
    path = SHARED_FILES / name
    if not path.exists():
        pytest.skip(f"the real file {name} is not there")
    return path


async def bring_up_to_date(front: Front) -> None:
    """What cron runs every minute."""
    for command in ("refresh", "export"):
        code, printed = await front.command(command)
        assert code == 0, printed


async def test_the_real_loans_give_620_rows_with_the_averages_of_plain_python(
    front: Front, daemon: Daemon
) -> None:
    content = real_file("loans.csv").read_bytes()
    front.drop("loans.csv", content)
    assert await front.outcomes(1) == [("loans.csv", "loaded")]
    await bring_up_to_date(front)

    raw = list(csv.reader(content.decode().splitlines()))[1:]
    ratios = {
        date.fromisoformat(day): Fraction(int(liquidated), int(defaulted))
        for day, _, defaulted, liquidated in raw
        if int(defaulted)
    }
    rows = await front.rows(
        "SELECT repayment_date, liquidation_to_default_ratio, rolling_avg_prev_7d,"
        " rolling_avg_trailing_7d FROM warehouse.default_liquidation_rolling_avg"
        " ORDER BY repayment_date"
    )
    assert len(rows) == 620
    assert [row[0].isoformat() for row in rows] == sorted(line[0] for line in raw)
    for day, *found in rows:
        wanted = [
            ratios.get(day),
            mean(ratios, (day - timedelta(days=back) for back in range(1, 8))),
            mean(ratios, (day - timedelta(days=back) for back in range(7))),
        ]
        for value, exact in zip(found, wanted, strict=True):
            if exact is None:
                assert value is None
            else:
                assert abs(Fraction(value) - exact) < Fraction(1, 10**9)


def mean(ratios: Mapping[date, Fraction], days: Iterable[date]) -> Fraction | None:
    there = [ratios[day] for day in days if day in ratios]
    return sum(there, Fraction()) / len(there) if there else None


async def test_the_real_titles_give_their_distinct_titles_and_terms(
    front: Front, daemon: Daemon
) -> None:
    path = real_file("2019_free_title_data_head.csv")
    front.drop(path.name, path.read_bytes())
    assert await front.outcomes(1) == [(path.name, "loaded")]

    counts: dict[str, int] = {}
    terms: dict[str, set[str]] = defaultdict(set)
    for title, count, *related in list(csv.reader(path.read_text(encoding="utf-8").splitlines()))[
        1:
    ]:
        tidy = " ".join(title.lower().split())
        counts[tidy] = max(int(count), counts.get(tidy, 0))
        terms[tidy] |= {" ".join(term.lower().split()) for term in related} - {""}
    assert dict(await front.rows("SELECT title, pdl_count FROM warehouse.job_title")) == counts
    found: dict[str, set[str]] = defaultdict(set)
    for title, term in await front.rows("SELECT title, related_title FROM warehouse.related_title"):
        found[title].add(term)
    assert found == {title: of_title for title, of_title in terms.items() if of_title}


def make_month(month: int) -> Month:
    """About 50,000 values in order of time."""
    random_ = random.Random(month)
    at = datetime(YEAR, month, 1)  # noqa: DTZ001 - as stored
    end = (at + timedelta(days=32)).replace(day=1)
    longest = 2 * (end - at).total_seconds() / ROWS_A_MONTH
    rows = []
    while at < end:
        rows.append((at, random_.randint(-50, 20_000)))
        at += timedelta(seconds=random_.randint(1, int(longest)))
    return rows


def as_csv(rows: Month) -> bytes:
    lines = [f"{at:%Y-%m-%d %H:%M:%S},{value}" for at, value in rows]
    return "\n".join(["created_at,value", *lines, ""]).encode()


def corrected(rows: Month) -> Month:
    """Every hundredth value changed, every thousandth row and one whole day gone."""
    gone = rows[0][0].date() + timedelta(days=4)
    changed = [
        (at, value + 7 if number % 100 == 0 else value)
        for number, (at, value) in enumerate(rows)
        if number % 1000 and at.date() != gone
    ]
    return changed + rows[:1]


def stats(values: list[int]) -> list[str]:
    exact = Decimal(sum(values)) / Decimal(len(values))
    rounded = exact.quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP).normalize()
    return [str(sum(values)), str(min(values)), str(max(values)), f"{rounded:f}"]


def expected_exports(months: Mapping[int, Month]) -> dict[str, list[str]]:
    """The data row of every entity file, by its path below exports/."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for rows in months.values():
        for at, value in rows:
            for parts in ((at.year,), (at.year, at.month), (at.year, at.month, at.day)):
                groups[parts].append(value)
    kinds = ("yearly", "monthly", "daily")
    levels = ("year", "month", "day")
    return {
        "/".join(f"{level}={part}" for level, part in zip(levels, parts, strict=False))
        + f"/entity_stats_{kinds[len(parts) - 1]}_{'_'.join(map(str, parts))}.csv": [
            *map(str, parts),
            *stats(values),
        ]
        for parts, values in groups.items()
    }


def found_exports(folder: Path) -> dict[str, list[str]]:
    found = {}
    for path in folder.glob("year=*/**/*.csv"):
        header, row = csv.reader(path.read_text(encoding="utf-8").splitlines())
        depth = len(row) - 4
        statistics = ["sum_values", "min_values", "max_values", "mean_values"]
        assert header == [*("year", "month", "day")[:depth], *statistics]
        found[path.relative_to(folder).as_posix()] = row
    return found


def versions(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of writing of every entity file."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.glob("year=*/**/*.csv")
    }


@pytest.mark.timeout(300)
async def test_a_year_of_months_gives_the_exports_of_plain_python_after_corrections_too(
    front: Front, daemon: Daemon
) -> None:
    months = {month: make_month(month) for month in range(1, 13)}
    for month, rows in months.items():
        front.drop(f"entity_{YEAR}_{month:02}.csv", as_csv(rows))
    assert {status for _, status in await front.outcomes(12)} == {"loaded"}
    await bring_up_to_date(front)
    exports = front.settings.exports_dir
    assert found_exports(exports) == expected_exports(months)

    before = versions(exports)
    front.drop(f"entity_{YEAR}_05_again.csv", as_csv(months[5]))
    months[8] = corrected(months[8])
    front.drop(f"entity_{YEAR}_08.csv", as_csv(months[8]))
    assert (await front.outcomes(14))[12:] == [
        (f"entity_{YEAR}_05_again.csv", "duplicate"),
        (f"entity_{YEAR}_08.csv", "loaded"),
    ]
    await bring_up_to_date(front)
    assert found_exports(exports) == expected_exports(months)

    after = versions(exports)
    touched = {path for path in before | after if before.get(path) != after.get(path)}
    august = {path for path in before if "/month=8/" in path}
    assert touched == august | {f"year={YEAR}/entity_stats_yearly_{YEAR}.csv"}
    assert not (exports / f"year={YEAR}/month=8/day=5").exists()
