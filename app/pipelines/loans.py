"""Loans: one row per repayment date; the newest as-of date wins."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

import dataframely as dy
import polars as pl

from app.domain import Column, Facts, Pipeline
from app.rules import Contract


def contract(facts: Facts) -> type[Contract]:
    """Counts are not negative, outcomes fit into the loans, and no date lies ahead."""
    return contract_until(facts.today)


# Made once a day, as building the rules costs more than checking a small file.
@lru_cache(maxsize=2)
def contract_until(today: date) -> type[Contract]:
    """The rules of files that arrive on this day."""

    class Loans(Contract):
        repayment_date = dy.Date(nullable=False, min=date(1900, 1, 1), max=today)
        loans = dy.Int64(nullable=False, min=0)
        defaults = dy.Int64(nullable=False, min=0)
        liquidations = dy.Int64(nullable=False, min=0)
        # A slip such as 2032 for 2023 would guard its rows against every later file.
        as_of = dy.Date(nullable=False, max=today)

        @dy.rule()
        def defaults_and_liquidations_exceed_loans(cls) -> pl.Expr:  # noqa: N805
            # Subtracted, not added: the sum of two large counts could overflow.
            return pl.col("defaults") <= pl.col("loans") - pl.col("liquidations")

    return Loans


def prepare(frame: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Adds the as-of date to every row."""
    return frame.with_columns(as_of=pl.lit(facts.as_of))


PIPELINE = Pipeline(
    name="loans",
    looks_like="*loans*",
    file_name=re.compile(r"loans", re.IGNORECASE),
    columns=(
        Column("repayment_date", aliases=("Date of Repayment",)),
        Column("loans", aliases=("Number of Loans",)),
        Column("defaults", aliases=("Default (as of {as_of})",)),
        Column("liquidations", aliases=("Liquidation (as of {as_of})",)),
    ),
    contract=contract,
    prepare=prepare,
    prepares_text=False,
    key="repayment_date",
)
