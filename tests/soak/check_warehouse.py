"""Holds the warehouse's tables, what is derived from them, and the exports against the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fractions import Fraction

from tests.applications import means, millionths
from tests.soak import oracle_derived as derived
from tests.soak.oracle import Oracle
from tests.soak.oracle_reading import number_text
from tests.soak.remains import Remains, Row, visible
from tests.soak.verdict import Verdict, differences

NEAR = Fraction(1, 10**9)
RATES = ("liquidation_to_default_ratio", "rolling_avg_prev_7d", "rolling_avg_trailing_7d")
AVERAGES = "SELECT * FROM warehouse.default_liquidation_rolling_avg"
VALUES = (
    "SELECT to_char(created_at, 'YYYY-MM-DD HH24:MI:SS'), entity_id, value FROM warehouse.entity"
)
STATS = ("row_count", "sum_value", "min_value", "max_value")
SCORES = (
    "SELECT application_id, loan_title, application_date, zip_code, state, employment_length,"
    " amount_requested::text, risk_score::text, debt_to_income::text, policy_code, ma50::text"
    " FROM warehouse.risk_score_v0"
)


async def judge(remains: Remains, loads: Sequence[Row], verdict: Verdict) -> None:
    """Looks at all of it. loads: those of the ledger, which say where files have their place."""
    await judge_loans(remains, verdict)
    await judge_averages(remains, verdict)
    await judge_entity(remains, verdict)
    await judge_titles(remains, verdict)
    await judge_scores(remains, loads, verdict)
    await judge_exports(remains, verdict)


async def judge_loans(remains: Remains, verdict: Verdict) -> None:
    """Every day's numbers, and the as-of date they were taken at."""
    rows = await remains.rows("SELECT * FROM warehouse.loans")
    faults = differences(loans_of(rows), remains.oracle.all_loans())
    dates = {row["repayment_date"]: row["as_of"] for row in rows}
    expected = {day: as_of for day, (_, as_of) in remains.oracle.loans.items()}
    faults += differences({day: dates.get(day) for day in expected}, expected)
    verdict.note("warehouse.loans", f"{len(rows):,} days", faults)


def loans_of(rows: Sequence[Row]) -> dict[date, tuple[int, int, int]]:
    return {
        row["repayment_date"]: (row["loans"], row["defaults"], row["liquidations"]) for row in rows
    }


async def judge_averages(remains: Remains, verdict: Verdict) -> None:
    """Ratios and averages, compared as exact fractions."""
    loans, rows = remains.oracle.all_loans(), await remains.rows(AVERAGES)
    faults, worst = differences(loans_of(rows), loans), Fraction(0)
    for row in rows:
        day = row["repayment_date"]
        for name, rate in zip(RATES, derived.rates(loans, day), strict=True):
            if row[name] is None or rate is None:
                faults += [] if row[name] is rate else [f"{day} {name}: {row[name]}, not {rate}"]
                continue
            off = abs(Fraction(row[name]) - rate)
            worst = max(worst, off)
            faults += [f"{day} {name} is off by {float(off)}"] if off > NEAR else []
    seen = f"{len(rows):,} days, off by {float(worst):.1g} at most"
    verdict.note("rolling averages", seen, faults)


async def judge_entity(remains: Remains, verdict: Verdict) -> None:
    """Every value of every month, and the aggregates of each day."""
    rows = await remains.sql.fetch(VALUES)
    months = remains.oracle.months.values()
    expected = {key: value for month in months for key, value in month.items()}
    faults = differences({(at, number): value for at, number, value in rows}, expected)
    verdict.note("warehouse.entity", f"{len(rows):,} rows", faults)
    days = await remains.rows("SELECT * FROM warehouse.entity_daily")
    stats = {row["day"]: tuple(int(row[name]) for name in STATS) for row in days}
    faults = differences(stats, derived.daily(remains.oracle.values()))
    verdict.note("warehouse.entity_daily", f"{len(days):,} days", faults)


async def judge_titles(remains: Remains, verdict: Verdict) -> None:
    """Every title, and its related ones by rank."""
    rows = await remains.rows("SELECT * FROM warehouse.job_title")
    found: dict[str, tuple[int, list[str]]] = {row["title"]: (row["pdl_count"], []) for row in rows}
    for row in await remains.rows("SELECT * FROM warehouse.related_title ORDER BY title, rank"):
        found[row["title"]][1].append(row["related_title"])
    faults = differences(found, remains.oracle.titles)
    verdict.note("warehouse.job_title, related_title", f"{len(found):,} titles", faults)


async def judge_scores(remains: Remains, loads: Sequence[Row], verdict: Verdict) -> None:
    """Every application in its place and its order, with the mean of the last 50 scores."""
    places: dict[str, int] = {}
    for load in sorted(loads, key=lambda each: int(each["load_id"])):
        if load["pipeline"] == "risk_scores" and load["status"] == "loaded":
            places.setdefault(load["file_name"], load["load_id"])
    faults = []
    if list(places) != list(remains.oracle.scores):
        faults.append("the files do not stand in the order in which they were dropped")
    found = {row["application_id"]: tidied(row) for row in await remains.rows(SCORES)}
    expected = {row["application_id"]: row for row in applications(remains.oracle, places)}
    faults += differences(found, expected)
    verdict.note("warehouse.risk_score, ma50", f"{len(found):,} rows", faults)


def applications(oracle: Oracle, places: dict[str, int]) -> list[Row]:
    """The rows as the view of version 0 has to show them."""
    rows: list[Row] = []
    for name, of_file in oracle.scores.items():
        first = places.get(name, 0) << 32
        rows += [{"application_id": first + n, **row} for n, row in enumerate(of_file, 1)]
    scores = [None if row["risk_score"] is None else millionths(row["risk_score"]) for row in rows]
    for row, mean in zip(rows, means(scores, 50), strict=True):
        row["ma50"] = mean
    return rows


def tidied(row: Row) -> Row:
    """The row with its numbers as the oracle writes them; its mean keeps all six decimals."""
    for name in ("amount_requested", "risk_score", "debt_to_income"):
        row[name] = number_text(row[name] or "")
    return row


async def judge_exports(remains: Remains, verdict: Verdict) -> None:
    """The tree of exports, byte for byte."""
    rows = await remains.rows(AVERAGES)
    created_at = {row["repayment_date"]: row["created_at"].isoformat() for row in rows}
    expected = derived.entity_files(derived.daily(remains.oracle.values()))
    if loans := remains.oracle.all_loans():
        expected[derived.LOANS_FILE] = derived.loans_file(loans, created_at)
    exports = remains.folder / "exports"
    found = {str(path.relative_to(exports)): path.read_bytes() for path in visible(exports)}
    seen = f"{len(found):,} files"
    verdict.note("exports, byte for byte", seen, differences(found, expected))
