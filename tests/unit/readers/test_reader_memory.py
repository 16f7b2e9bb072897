"""Large blocks are read into memory that goes back to the system, whichever thread gave it."""

from __future__ import annotations

import io

import polars as pl
import pyarrow as pa

from app.readers import open_reader

ROWS = 100_000
FEW_BYTES = 50_000
TYPES: dict[str, pl.DataType] = {"number": pl.Int64(), "value": pl.Int64()}


def test_large_blocks_take_nothing_from_arrows_own_pool() -> None:
    content = "number,value\n" + "".join(f"{n},{n * 7}\n" for n in range(ROWS))
    own = pa.default_memory_pool()
    before = own.total_bytes_allocated()

    batches = open_reader(io.BytesIO(content.encode()), "x.csv").batches(tuple(TYPES), TYPES)
    assert sum(len(batch.frame) for batch in batches) == ROWS

    assert own.total_bytes_allocated() - before < FEW_BYTES < ROWS * 8
