"""A production database as its owners have it: a table they write to, and we only read."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from app.settings import Settings
from tests.acceptance.front_door import Front

TABLE = """
CREATE TABLE entity (
    entity_id bigserial PRIMARY KEY,
    created_at timestamp NOT NULL,
    value int NOT NULL
)
"""
Row = tuple[datetime, int]


def month_rows(month: str, count: int, seed: int = 0) -> list[Row]:
    """That many instants of the month with their values, in order of time, to the microsecond."""
    draw = random.Random(f"{month} {seed}")
    first = datetime.fromisoformat(f"{month}-01")
    microseconds = sorted(draw.sample(range(28 * 86_400_000_000), count))
    return [(first + timedelta(microseconds=n), draw.randint(-1000, 100_000)) for n in microseconds]


@dataclass(frozen=True)
class Production:
    """The source, what its owners do to it, and commands that know its address."""

    url: str
    sql: asyncpg.Connection
    front: Front

    async def insert(self, rows: Iterable[Row]) -> None:
        """Adds rows; their ids go on from where they were."""
        await self.sql.executemany("INSERT INTO entity (created_at, value) VALUES ($1, $2)", rows)

    async def rows(self, where: str = "true") -> dict[tuple[datetime, int], int]:
        """The rows as they are now, as the warehouse should have them."""
        found = await self.sql.fetch(
            f"SELECT created_at, entity_id, value FROM entity WHERE {where}"
        )
        return {(row["created_at"], row["entity_id"]): row["value"] for row in found}

    async def pull(self, *words: str, **more: str) -> tuple[int, str]:
        """Runs `pull`; gives its exit code and what it printed."""
        settings = {"SOURCE_DATABASE_URL": self.url, **more}
        return await self.front.command("pull", *words, **settings)

    async def pulled(self, *words: str, **more: str) -> str:
        """Runs `pull`, which has to end well; gives what it printed."""
        code, printed = await self.pull(*words, **more)
        assert code == 0, printed
        return printed

    async def loads(self, *, after: int = 0) -> list[tuple[str, str]]:
        """File and status of the loads since that one, in their order."""
        return [
            (load["file_name"], load["status"])
            for load in await self.front.ledger()
            if load["load_id"] > after
        ]

    @property
    def settings(self) -> Settings:
        return self.front.settings


def month_file(rows: dict[tuple[datetime, int], int]) -> bytes:
    """The rows as a month file, in the order of the key."""
    lines = [f"{instant(at)},{number},{value}" for (at, number), value in sorted(rows.items())]
    return "\n".join(["created_at,entity_id,value", *lines, ""]).encode()


def instant(at: datetime) -> str:
    """An instant without the zeros at the end of a fraction, as PostgreSQL writes it."""
    return str(at).rstrip("0") if at.microsecond else str(at)
