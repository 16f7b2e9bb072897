"""Makes the files that are measured, the same in every run."""

from __future__ import annotations

from datetime import date, datetime, timedelta
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


def loans_frame(days: int, last: date, seed: int = SEED) -> pl.DataFrame:
    """Gives loans of so many days, up to the last one, in order and within the contract."""
    random = np.random.default_rng(seed)
    loans = random.integers(50, 5_000, days)
    defaults = random.integers(0, loans // 10)
    return pl.DataFrame(
        {
            "repayment_date": pl.date_range(last - timedelta(days - 1), last, eager=True),
            "loans": loans,
            "defaults": defaults,
            "liquidations": random.integers(0, loans - defaults),
        }
    )


def corrected_loans(loans: pl.DataFrame, share: float = 0.01, seed: int = SEED) -> pl.DataFrame:
    """Gives the loans with that share of the rows changed, chosen by chance."""
    is_changed = pl.Series(np.random.default_rng(seed).random(len(loans)) < share)
    return loans.with_columns(pl.col("loans") + is_changed.cast(pl.Int64))


def several_states(days: int, last: date, rows: int) -> pl.DataFrame:
    """Gives a file of so many rows in which the days stand again and again, each time anew."""
    states = [loans_frame(days, last, SEED + number) for number in range(-(-rows // days))]
    return pl.concat(states).head(rows)


def write_loans(loans: pl.DataFrame, path: Path, as_of: date | None = None) -> Path:
    """Writes a loans file; with as_of, under the header that names it."""
    header = ["repayment_date", "loans", "defaults", "liquidations"]
    if as_of:
        header = [
            "Date of Repayment",
            "Number of Loans",
            f"Default (as of {as_of})",
            f"Liquidation (as of {as_of})",
        ]
    loans.rename(dict(zip(loans.columns, header, strict=True))).write_csv(path)
    return path
