"""Brings staged rows into the warehouse: by the feed's merge script, or as a month."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain import Contract, LoadCounts, Merge, Route, Tally
from app.store import months
from app.store.months import Month
from app.store.scripts import Scripts
from models.base import STAGING

# Fewer rows are merged well without fresh statistics.
ANALYZE_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Stage:
    """Where one load puts its rows before they reach the warehouse.

    columns: those that are copied, in their order in the encoded rows.
    """

    month: Month
    route: Route
    schema: str
    table: str
    columns: tuple[str, ...]


async def open_stage(
    connection: AsyncConnection,
    scripts: Scripts,
    route: Route,
    contract: type[Contract],
    load_id: int,
) -> Stage:
    """Gives the table that the load's rows are copied into; made now for a month."""
    month = Month(connection, scripts, route.pipeline, route.facts, load_id)
    columns = tuple(contract.column_names())
    if route.pipeline.merge is Merge.SCRIPT:
        return Stage(month, route, scripts.schema(STAGING), route.pipeline.name, columns)
    await month.run("stage")
    of_the_month = tuple(name for name in columns if name != "line_number")
    return Stage(month, route, scripts.schema(STAGING), month.staged, of_the_month)


async def merge(stage: Stage, tally: Tally) -> LoadCounts:
    """Brings the staged rows into the warehouse, inside the load's transaction.

    Returns what became of them; rejected rows and rows read are the caller's to add.
    """
    if stage.route.pipeline.merge is Merge.MONTH:
        return await months.merge(stage.month, tally)
    connection, name = stage.month.connection, stage.route.pipeline.name
    staged = f'"{stage.schema}"."{stage.table}"'
    if tally.rows_staged >= ANALYZE_ROWS:
        await connection.execute(text(f"ANALYZE {staged}"))
    statement = stage.month.scripts.statement(f"merge/{name}")
    counts = (await connection.execute(statement, {"load_id": stage.month.load_id})).one()
    await connection.execute(text(f"DELETE FROM {staged}"))
    return LoadCounts(
        inserted=counts.rows_inserted,
        updated=counts.rows_updated,
        unchanged=counts.rows_unchanged,
        deleted=counts.rows_deleted,
        duplicate=counts.rows_duplicate,
    )
