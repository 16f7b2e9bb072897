"""A COPY whose connection is lost while the server takes no more rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import DatabaseUnreachableError
from app.store.copy_format import Encoded
from app.store.engine import driver_connection, driver_errors
from app.store.staging import copy_rows
from tests.acceptance.front_door import until

SLOW_TABLE = """
CREATE TABLE public.slow (line text);
CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
CREATE TRIGGER dawdle BEFORE INSERT ON public.slow FOR EACH ROW EXECUTE FUNCTION public.dawdle();
"""
SLEEPER = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND wait_event = 'PgSleep'
"""
# Past it, asyncio asks for a pause.
HIGH_WATER = 65_536
# So many looks without a change: the server's buffers are full, too.
LOOKS = 10
ROW = (1).to_bytes(2) + (8).to_bytes(4) + b"a line.\n"


async def megabytes() -> AsyncIterator[Encoded]:
    """More than the connection's buffers hold."""
    for _ in range(64):
        yield ROW * 80_000


async def test_it_ends_with_the_connection(engine: AsyncEngine, sql: asyncpg.Connection) -> None:
    await sql.execute(SLOW_TABLE)
    drivers: list[Any] = []
    unsent = [0] * LOOKS

    async def copy() -> None:
        async with engine.begin() as connection:
            drivers.append(driver_connection(connection))
            await copy_rows(connection, "slow", ["line"], megabytes(), schema="public")

    async def is_waiting() -> bool:
        unsent.extend(each._transport.get_write_buffer_size() for each in drivers)
        return unsent[-1] > HIGH_WATER and len(set(unsent[-LOOKS:])) == 1

    copying = asyncio.create_task(copy())
    await until(is_waiting, "a server that takes no more")
    await sql.execute(f"SELECT pg_terminate_backend(({SLEEPER}))")

    # Not by a timeout around it, which would end it, too.
    ended, _ = await asyncio.wait({copying}, timeout=10)
    assert ended
    with pytest.raises(DatabaseUnreachableError), driver_errors():
        await copying
