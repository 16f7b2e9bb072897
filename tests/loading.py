"""Loads files in the foreground and checks, after each, what has to hold after any load."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import Arrival, Load, LoadCounts, LoadStatus, Years
from app.loader import Tools, load_file
from app.pipelines import all_pipelines
from app.settings import Settings
from app.store.scripts import Scripts, schema_names

SHARED_FILES = Path(__file__).parents[2] / "shared" / "data"

Reject = tuple[int, str | None, str]


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The rows as a CSV file; None is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


@dataclass(frozen=True)
class Folder:
    """The imports folder, and a look at the database as an analyst has it."""

    settings: Settings
    engine: AsyncEngine
    sql: asyncpg.Connection

    async def load(
        self,
        name: str,
        content: str | bytes,
        folder: str | None = None,
        years: Years | None = None,
    ) -> Load:
        """Drops a file and brings it in; whatever became of it, the ledger has to add up."""
        load = await self.load_unchecked(name, content, folder, years)
        await self.check(load)
        return load

    async def load_unchecked(
        self,
        name: str,
        content: str | bytes,
        folder: str | None = None,
        years: Years | None = None,
    ) -> Load:
        """Drops a file and brings it in, for loads that run side by side."""
        path = self.settings.imports_dir / (folder or "") / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        size, at = path.stat().st_size, datetime.now(UTC)
        arrival = Arrival(path, name, folder, size, at, years=years)
        scripts = Scripts(schema_names(self.settings))
        tools = Tools(self.engine, scripts, self.settings, all_pipelines())
        load = await load_file(arrival, tools)
        assert not path.exists()
        return load

    async def check(self, load: Load) -> None:
        counts = load.counts
        assert counts == await self.ledger_counts(load.load_id)
        assert counts.read == (
            counts.inserted + counts.updated + counts.unchanged + counts.rejected + counts.duplicate
        )
        reject_count = await self.sql.fetchval(
            "SELECT count(*) FROM ops.reject WHERE load_id = $1", load.load_id
        )
        if load.status is LoadStatus.QUARANTINED:
            assert reject_count <= counts.rejected
        else:
            assert reject_count == counts.rejected
        await self.check_staging()

    async def ledger_counts(self, load_id: int) -> LoadCounts:
        row = await self.sql.fetchrow("SELECT * FROM ops.load WHERE load_id = $1", load_id)
        assert row
        return LoadCounts(**{name: row[f"rows_{name}"] for name in asdict(LoadCounts())})

    async def check_staging(self) -> None:
        """No load leaves a table behind, nor rows in those that stay."""
        tables = await self.rows(
            "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r'",
            self.settings.staging_schema,
        )
        assert {name for (name,) in tables} == {"loans", "job_titles", "risk_scores"}
        for (name,) in tables:
            staged = f'"{self.settings.staging_schema}"."{name}"'
            assert await self.sql.fetchval(f"SELECT count(*) FROM {staged}") == 0

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.sql.fetch(query, *values)]

    async def touched(self, load: Load) -> set[date]:
        """The days that the load noted for the next refresh."""
        days = await self.rows("SELECT day FROM ops.touched_day WHERE load_id = $1", load.load_id)
        return {day for (day,) in days}

    async def rejects(self, load: Load) -> list[Reject]:
        return await self.rows(
            "SELECT line_number, column_name, raw FROM ops.reject WHERE load_id = $1"
            " ORDER BY line_number",
            load.load_id,
        )
