"""Rows are encoded alike however many they are, and come back as they went."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from pgpq import ArrowToPostgresBinaryEncoder

from app.store.copy_format import HEADER, TRAILER, decode_rows, encode_rows

BEGIN = datetime(1969, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001 - as stored


def rows(count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "n": pl.Series([(-1) ** k * (1 << (k % 63)) for k in range(count)], dtype=pl.Int64),
            "day": [date(1999, 12, 31) + timedelta(days=k % 9000) for k in range(count)],
            "instant": [BEGIN + timedelta(hours=k) for k in range(count)],
        }
    )


@pytest.mark.parametrize("count", [0, 1, 10, 5_000])
def test_rows_of_fixed_width_come_back_as_they_went(count: int) -> None:
    frame = rows(max(count, 1))[:count]
    encoded = HEADER + bytes(encode_rows(frame)) + TRAILER
    assert decode_rows(encoded, frame.schema).equals(frame)


@pytest.mark.parametrize("count", [1, 10, 5_000])
def test_rows_of_fixed_width_are_encoded_as_pgpq_does(count: int) -> None:
    frame = rows(count)
    table = frame.to_arrow()
    encoder = ArrowToPostgresBinaryEncoder(table.schema)
    parts = [encoder.write_header(), *map(encoder.write_batch, table.to_batches())]
    expected = b"".join([*parts, encoder.finish()])
    assert HEADER + bytes(encode_rows(frame)) + TRAILER == expected
