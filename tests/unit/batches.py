"""Batches as readers give them, and their check, for tests of contracts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from app.contract import Checked, check
from app.domain import Batch, Facts, Pipeline, Route

TODAY = date(2024, 5, 6)
Text = str | None


def batch_of(names: Sequence[str], rows: Sequence[Sequence[Text]], first_line: int = 2) -> Batch:
    """Rows as a reader gives them; a row's raw text is its fields with bars in between."""
    frame = pl.DataFrame(
        {
            "line_number": pl.Series(range(first_line, first_line + len(rows)), dtype=pl.Int64),
            "row_number": pl.Series(range(1, len(rows) + 1), dtype=pl.Int64),
        }
        | {
            name: pl.Series([row[position] or None for row in rows], dtype=pl.String)
            for position, name in enumerate(names)
        }
    )
    return Batch(frame, [], lambda lines: [raw_of(rows[line - first_line]) for line in lines], 0)


def raw_of(row: Sequence[Text]) -> str:
    return "|".join(field or "" for field in row)


def checked(
    pipeline: Pipeline,
    names: Sequence[str],
    rows: Sequence[Sequence[Text]],
    scope: str | None = None,
) -> Checked:
    facts = Facts(scope, TODAY, TODAY)
    return check(
        batch_of(names, rows), Route(pipeline, facts, tuple(names)), pipeline.contract(facts)
    )


def reasons(result: Checked) -> list[tuple[int, str | None, str]]:
    return [(reject.line_number, reject.column_name, reject.reason) for reject in result.rejects]
