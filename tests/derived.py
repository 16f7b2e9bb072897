"""Refresh and export as the service runs them: on a connection that its engine lends."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from app import export as exporting
from app import refresh as refreshing
from app.export import Exported
from app.refresh import Refreshed
from app.settings import Settings
from app.store.engine import driver_connection, driver_errors


async def refresh(
    engine: AsyncEngine, settings: Settings, *, full: bool = False
) -> list[Refreshed]:
    with driver_errors():
        async with engine.connect() as lent:
            return await refreshing.refresh(driver_connection(lent), settings, full=full)


async def export(
    engine: AsyncEngine,
    settings: Settings,
    *,
    year: int | None = None,
    month: int | None = None,
    full: bool = False,
) -> Exported:
    with driver_errors():
        async with engine.connect() as lent:
            return await exporting.export(
                driver_connection(lent), settings, year=year, month=month, full=full
            )
