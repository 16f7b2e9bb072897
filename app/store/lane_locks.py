"""Locks that keep two loads, of one service or of several, out of the same lane.

A lock is PostgreSQL's advisory lock, so it is gone with the connection that holds it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.direct import Query

TAKE = Query("SELECT pg_try_advisory_lock($1)", ("key",), {})
TAKE_FOR_TRANSACTION = Query("SELECT pg_try_advisory_xact_lock($1)", ("key",), {})
GIVE_BACK = Query("SELECT pg_advisory_unlock($1)", ("key",), {})
ANNOUNCE = Query("SELECT pg_advisory_lock_shared($1)", ("key",), {})
WITHDRAW = Query("SELECT pg_advisory_unlock_shared($1)", ("key",), {})
IS_WANTED = Query("SELECT NOT pg_try_advisory_xact_lock($1)", ("key",), {})


@lru_cache(maxsize=64)
def lock_key(lane: str) -> int:
    """Gives the advisory lock key of a lane: the first 8 bytes of its SHA-256, signed."""
    digest = hashlib.sha256(f"sluice/{lane}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


async def take(connection: AsyncConnection, lane: str) -> bool:
    """Takes the lane until it is given back or the connection ends, unless another one has it."""
    [taken] = await TAKE.rows(connection, key=lock_key(lane))
    return bool(taken[0])


async def give_back(connection: AsyncConnection, lane: str) -> None:
    """Lets the next one in."""
    await GIVE_BACK.rows(connection, key=lock_key(lane))


async def take_for_transaction(connection: AsyncConnection, lane: str) -> bool:
    """Takes the lane until the transaction's end, unless another connection has it."""
    [taken] = await TAKE_FOR_TRANSACTION.rows(connection, key=lock_key(lane))
    return bool(taken[0])


async def announce(connection: AsyncConnection, lane: str) -> None:
    """Says that this connection waits for the lane, for those who take it again and again."""
    await ANNOUNCE.rows(connection, key=lock_key(f"{lane}?"))


async def withdraw(connection: AsyncConnection, lane: str) -> None:
    """Says that it waits no longer."""
    await WITHDRAW.rows(connection, key=lock_key(f"{lane}?"))


async def is_wanted(connection: AsyncConnection, lane: str) -> bool:
    """Whether another connection waits for the lane; asked outside of a transaction."""
    [wanted] = await IS_WANTED.rows(connection, key=lock_key(f"{lane}?"))
    return bool(wanted[0])
