"""Makes the files that are measured, the same in every run."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

SEED = 20230101


def month_frame(year: int, month: int, rows: int) -> pl.DataFrame:
    """Gives a month of entity rows in order of time: entity_id, created_at, value."""
    random = np.random.default_rng(SEED + month)
    start = datetime(year, month, 1)  # noqa: DTZ001 - instants without a zone, as stored
    days = pl.datetime_range(start, start, eager=True).dt.days_in_month()[0]
    seconds = np.sort(random.integers(0, days * 86_400, rows))
    return pl.DataFrame(
        {
            "entity_id": np.arange(1, rows + 1),
            "second": seconds,
            "value": random.integers(0, 20_000, rows),
        }
    ).select(
        "entity_id", (pl.lit(start) + pl.duration(seconds="second")).alias("created_at"), "value"
    )


def corrected(month: pl.DataFrame) -> pl.DataFrame:
    """Gives the month with 1 % of its values changed and 0.1 % of its rows gone."""
    random = np.random.default_rng(SEED)
    share = pl.Series(random.random(len(month)))
    return month.with_columns(
        value=pl.when(share < 0.01).then(pl.col("value") + 1).otherwise("value")
    ).filter(share < 0.999)


def write_month(frame: pl.DataFrame, path: Path) -> Path:
    """Writes a month as the CSV file its source would send."""
    frame.write_csv(path, datetime_format="%Y-%m-%d %H:%M:%S")
    return path
