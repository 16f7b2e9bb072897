"""What is copied as CSV arrives as it went, whatever the text holds."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app import threads
from app.store.copy_format import encode_text
from app.store.staging import copy_rows

TABLE = """
    CREATE TABLE public.copied (line bigint, title text, score numeric)
"""
TEXTS = (
    *(None, "", " ", "NULL", "\\N", "\\", "\\.", "a\n\\.\nb", "'", '"', '""', 'a "b" c', "a,b"),
    *("\n", "\r", "x\r\ny", "\t", "\x01", "\x0b", "\x1f", "\x7f", "\u2028", "\ufeff", "é", "😀"),
    *(" before", "after ", "#", ";", "{}"),
)
NUMBERS = {
    "0": "0",
    "100": "100",
    "-1": "-1",
    "693.50": "693.5",
    "0.000001": "0.000001",
    "1000.0": "1000",
    "999999999999.999999": "999999999999.999999",
}


async def copy(engine: AsyncEngine, frame: pl.DataFrame) -> list[tuple[object, ...]]:
    async with engine.begin() as connection:
        await connection.execute(text(TABLE))
        encoded = threads.at_hand([encode_text(frame)])
        await copy_rows(connection, "copied", frame.columns, encoded, schema="public", is_text=True)
        shown = ", ".join(f"CAST({name} AS text)" for name in frame.columns)
        rows = await connection.execute(text(f"SELECT {shown} FROM public.copied ORDER BY line"))
        return [tuple(row) for row in rows]


async def test_every_text_arrives(engine: AsyncEngine) -> None:
    frame = pl.DataFrame({"line": range(10, 10 + len(TEXTS)), "title": TEXTS})

    rows = await copy(engine, frame)

    assert rows == [(str(10 + position), each) for position, each in enumerate(TEXTS)]


@pytest.mark.parametrize("scale", [6, 0])
async def test_numbers_arrive_without_zeros_at_their_end(engine: AsyncEngine, scale: int) -> None:
    given = [number for number in NUMBERS if scale or "." not in number]
    score = pl.Series([*map(Decimal, given), None], dtype=pl.Decimal(18, scale))

    rows = await copy(engine, pl.DataFrame({"line": range(10, 11 + len(given)), "score": score}))

    assert [row[1] for row in rows] == [*(NUMBERS[each] for each in given), None]
