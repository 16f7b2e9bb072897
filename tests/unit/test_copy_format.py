"""Rows are encoded alike however many they are, and come back as they went."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from app.store.copy_format import FEW_ROWS, HEADER, TRAILER, decode_rows, encode_rows

BEGIN = datetime(1969, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001 - as stored


def rows(count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "n": pl.Series([(-1) ** k * (1 << (k % 63)) for k in range(count)], dtype=pl.Int64),
            "day": [date(1999, 12, 31) + timedelta(days=k % 9000) for k in range(count)],
            "instant": [BEGIN + timedelta(hours=k) for k in range(count)],
        }
    )


@pytest.mark.parametrize("count", [0, 1, FEW_ROWS, FEW_ROWS + 1])
def test_rows_of_fixed_width_come_back_as_they_went(count: int) -> None:
    frame = rows(max(count, 1))[:count]
    encoded = HEADER + bytes(encode_rows(frame)) + TRAILER
    assert decode_rows(encoded, frame.schema).equals(frame)


def test_many_rows_are_encoded_as_the_same_rows_are_in_parts() -> None:
    frame = rows(2 * FEW_ROWS)
    parts = [bytes(encode_rows(frame[: FEW_ROWS - 1])), bytes(encode_rows(frame[FEW_ROWS - 1 :]))]
    few = [bytes(encode_rows(part)) for part in frame.iter_slices(FEW_ROWS // 2)]
    assert bytes(encode_rows(frame)) == b"".join(parts) == b"".join(few)
