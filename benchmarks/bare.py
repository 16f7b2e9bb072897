"""The peer of rows 6 and 7: a bare asyncpg script that copies and upserts loans, with no check.

It has a connection open, its statement prepared and its staging table made; each file is one
transaction.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import asyncpg

COMMAND = "benchmarks/bare.py: asyncpg, COPY to a temporary table and INSERT ... ON CONFLICT"
FRESH_TABLE = (
    "DROP TABLE IF EXISTS public.loans_peer",
    """
    CREATE TABLE public.loans_peer (
        repayment_date date PRIMARY KEY,
        loans bigint NOT NULL,
        defaults bigint NOT NULL,
        liquidations bigint NOT NULL
    )
    """,
    "CHECKPOINT",
)
STAGING = """
    CREATE TEMPORARY TABLE loans_staged (LIKE public.loans_peer) ON COMMIT DELETE ROWS
"""
UPSERT = """
    INSERT INTO public.loans_peer
    SELECT * FROM loans_staged
    ON CONFLICT (repayment_date) DO UPDATE SET
        loans = excluded.loans,
        defaults = excluded.defaults,
        liquidations = excluded.liquidations
"""


async def load_each(url: str, paths: Iterable[Path], rest_seconds: float = 0.0) -> Sequence[float]:
    """Loads the files one after the other; gives the seconds of each, to the end of its commit.

    rest_seconds: how long nothing happens before each file.
    """
    connection = await asyncpg.connect(url)
    await connection.execute(STAGING)
    upsert = await connection.prepare(UPSERT)
    seconds = []
    for path in paths:
        await asyncio.sleep(rest_seconds)
        began = time.perf_counter()
        async with connection.transaction():
            await connection.copy_to_table("loans_staged", source=path, format="csv", header=True)
            await upsert.fetch()
        seconds.append(time.perf_counter() - began)
    await connection.close()
    return seconds
