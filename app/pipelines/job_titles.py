"""Job titles: how many people hold each, and the terms related to it."""

from __future__ import annotations

import re

import dataframely as dy
import polars as pl

from app.domain import Column, Facts, Pipeline
from app.rules import Contract

# A title is a key, and an entry of PostgreSQL's B-tree holds at most 2,704 bytes in all.
LONGEST_TITLE_BYTES = 2600


def contract(_facts: Facts) -> type[Contract]:
    """A title is never empty, and its count is not negative."""

    class JobTitles(Contract):
        title = dy.String(nullable=False, min_length=1, max_length=LONGEST_TITLE_BYTES)
        pdl_count = dy.Int64(nullable=False, min=0)
        related = dy.List(dy.String(nullable=False), nullable=False)

    return JobTitles


def tidy(column: str) -> pl.Expr:
    """Trims, lower-cases and collapses white space; what is left empty becomes null."""
    text = pl.col(column).str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.when(text != "").then(text)


def prepare(frame: pl.DataFrame, _facts: Facts) -> pl.DataFrame:
    """Gathers the related columns into one list per row, without empty ones."""
    related = [name for name in frame.columns if name.startswith("related_")]
    terms = (
        pl.concat_list([tidy(name) for name in related])
        if related
        else pl.lit([], pl.List(pl.String))
    )
    return frame.with_columns(
        tidy("title"), related=terms.list.drop_nulls().list.unique(maintain_order=True)
    )


PIPELINE = Pipeline(
    name="job_titles",
    looks_like="*title*",
    file_name=re.compile(r"title", re.IGNORECASE),
    columns=(
        Column("title"),
        Column("pdl_count"),
    ),
    rest="related",
    contract=contract,
    prepare=prepare,
)
