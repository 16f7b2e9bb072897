"""Visits: people counted at the door of each shop, by day."""

from __future__ import annotations

import re

import dataframely as dy

from app.domain import Column, Facts, Pipeline
from app.rules import Contract


def contract(facts: Facts) -> type[Contract]:
    """A shop is named, a count is not negative, and no day lies ahead."""

    class Visits(Contract):
        day = dy.Date(nullable=False, max=facts.today)
        shop = dy.String(nullable=False, max_length=100)
        visitors = dy.Int64(nullable=False, min=0)

    return Visits


PIPELINE = Pipeline(
    name="visits",
    looks_like="*visits*",
    file_name=re.compile(r"visits", re.IGNORECASE),
    columns=(
        Column("day", aliases=("Date",)),
        Column("shop"),
        Column("visitors", aliases=("Number of Visitors",)),
    ),
    contract=contract,
)
