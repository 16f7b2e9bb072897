"""Entity: measured values; the file is the month that its name says."""

from __future__ import annotations

import re

import dataframely as dy
import polars as pl

from app.domain import Column, Facts, Merge, Pipeline
from app.rules import Contract


def contract(facts: Facts) -> type[Contract]:
    """Every value is a whole number, measured inside the month."""

    class Entity(Contract):
        created_at = dy.Datetime(
            nullable=False, min=facts.month_start, max_exclusive=facts.month_end
        )
        entity_id = dy.Int64(nullable=False)
        value = dy.Int64(nullable=False)

    return Entity


def prepare(frame: pl.DataFrame, _facts: Facts) -> pl.DataFrame:
    """Numbers the rows by their position in the file when the source gave no ids."""
    if "entity_id" in frame.columns:
        return frame
    return frame.with_columns(entity_id="row_number")


MONTH = r"(?<!\d)(?P<year>[12][0-9]{3})[-_](?P<month>0[1-9]|1[0-2])"
# A file of one day would replace its whole month and delete the rows of the other days.
DAY = r"(?<!\d)[12][0-9]{3}[-_](?:0[1-9]|1[0-2])[-_. ]?\d"

PIPELINE = Pipeline(
    name="entity",
    looks_like="*entity*YYYY-MM* or *entity*YYYY_MM*, no day",
    file_name=re.compile(rf"entity(?!.*{DAY}).*?{MONTH}", re.IGNORECASE),
    columns=(
        Column("created_at"),
        Column("value"),
        Column("entity_id", optional=True),
    ),
    contract=contract,
    prepare=prepare,
    prepares_text=False,
    merge=Merge.MONTH,
    month_key=("created_at", "entity_id"),
)
