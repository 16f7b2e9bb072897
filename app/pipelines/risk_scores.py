"""Risk scores: declined applications, appended file by file, and features over their order."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

import dataframely as dy
import polars as pl

from app.domain import Appends, Column, Facts, Merge, Pipeline
from app.features import values
from app.rules import Contract

LARGEST_POLICY_CODE = 32_767


def contract(facts: Facts) -> type[Contract]:
    """An application has an amount and a day that is not ahead; whatever else may be empty."""
    return contract_until(facts.today)


# Made once a day, as building the rules costs more than checking a small file.
@lru_cache(maxsize=2)
def contract_until(today: date) -> type[Contract]:
    """The rules of files that arrive on this day."""

    class RiskScores(Contract):
        amount_requested = dy.Decimal(18, 6, nullable=False, min=0)
        application_date = dy.Date(nullable=False, min=date(1900, 1, 1), max=today)
        loan_title = dy.String(nullable=True)
        risk_score = dy.Decimal(18, 6, nullable=True, min=0)
        debt_to_income = dy.Decimal(18, 6, nullable=True)
        zip_code = dy.String(nullable=True)
        state = dy.String(nullable=True)
        employment_length = dy.String(nullable=True)
        policy_code = dy.Int64(nullable=True, min=0, max=LARGEST_POLICY_CODE)

    return RiskScores


def prepare(frame: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Leaves out rows of other years, and the sign after a percentage.

    A date without a year that can be read may be of any year, so it stays, to be rejected.
    """
    if facts.years:
        year = pl.col("application_date").str.extract(r"^\s*([0-9]{4})-").cast(pl.Int64)
        wanted = year.is_between(facts.years.first, facts.years.last)
        frame = frame.filter(wanted.fill_null(value=True))
    return frame.with_columns(pl.col("debt_to_income").str.replace(r"\s*%\s*$", ""))


PIPELINE = Pipeline(
    name="risk_scores",
    looks_like="*rejected* or *risk*score*",
    file_name=re.compile(r"rejected|risk.*score", re.IGNORECASE),
    columns=(
        Column("amount_requested"),
        Column("application_date"),
        Column("loan_title"),
        Column("risk_score"),
        Column("debt_to_income", aliases=("Debt-To-Income Ratio",)),
        Column("zip_code"),
        Column("state"),
        Column("employment_length"),
        Column("policy_code"),
    ),
    contract=contract,
    prepare=prepare,
    merge=Merge.APPEND,
    appends=Appends("risk_score", key="application_id", day="application_date"),
    takes_years=True,
    follow=values.follow,
)
