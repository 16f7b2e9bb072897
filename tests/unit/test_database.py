"""The database's address, for the driver and for psql."""

from __future__ import annotations

import pytest

from app.settings import Settings
from app.store.database import Database, open_database


@pytest.mark.parametrize(
    ("given", "url", "psql_command"),
    [
        (
            "postgresql://reader:hush@db.example:5433/lake",
            "postgresql://reader:hush@db.example:5433/lake",
            "psql postgresql://reader@db.example:5433/lake",
        ),
        (
            "postgresql+asyncpg://reader:a%40b@db.example/lake?ssl=require",
            "postgresql://reader:a%40b@db.example/lake?ssl=require",
            "psql 'postgresql://reader@db.example/lake?sslmode=require'",
        ),
        (
            "postgres://reader:hush@db.example/lake?sslmode=verify-full",
            "postgresql://reader:hush@db.example/lake?ssl=verify-full",
            "psql 'postgresql://reader@db.example/lake?sslmode=verify-full'",
        ),
        (
            "postgresql://reader@/lake?host=/tmp&port=5433",
            "postgresql://reader@/lake?host=%2Ftmp&port=5433",
            "psql 'postgresql://reader@/lake?host=%2Ftmp&port=5433'",
        ),
    ],
)
def test_psql_and_the_driver_each_get_their_own_words_and_psql_no_password(
    given: str, url: str, psql_command: str
) -> None:
    with open_database(Settings(database_url=given)) as database:
        assert database == Database(url, psql_command, url)
