"""Logins of a test's own, with the rights of one of the two roles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import make_url

PASSWORD = "as good as any"


@asynccontextmanager
async def member_of(role: str, sql: asyncpg.Connection, database_url: str) -> AsyncIterator[str]:
    """Gives an address of the database for a new login in the role; it is dropped afterwards."""
    url = make_url(database_url)
    login = f"{url.database}_{role}"
    await sql.execute(f"CREATE ROLE {login} LOGIN PASSWORD '{PASSWORD}' IN ROLE {role}")
    try:
        own = url.set(username=login, password=PASSWORD)
        yield own.render_as_string(hide_password=False)
    finally:
        await sql.execute(f"DROP ROLE {login}")
