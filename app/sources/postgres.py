"""Pull: extracts the months that differ from a production database into the imports folder.

The ordinary load takes the files from there: there is one way in. One pull, top to bottom: look
at the source as it is at one instant, compare, extract each month that differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, cast

from sqlalchemy.ext.asyncio import AsyncConnection

from app import crash_points, threads
from app.crash_points import Point
from app.loader import Tools
from app.sources import month_files
from app.sources.comparison import Comparison, Difference, Span, compare
from app.sources.database import open_snapshot
from app.sources.month_files import Unnamed
from app.store import ledger
from app.store.engine import driver_connection, driver_errors
from app.store.ledger import Content

FEED = "entity"


class Outcome(StrEnum):
    """What came of a month that differs."""

    WRITTEN = "written"
    WAITING = "waits already"
    LOADED = "loaded meanwhile"
    LEFT_OUT = "loaded already, but not every row"


@dataclass(frozen=True, slots=True)
class PulledMonth:
    """A month that differs and what came of it.

    path: its file in imports/, where one waits. load_id: of the load that took the same content.
    """

    difference: Difference
    outcome: Outcome
    sha256: str
    path: Path | None = None
    load_id: int | None = None

    @property
    def month(self) -> date:
        return self.difference.month


Show = Callable[[PulledMonth], None]


async def find_differences(tools: Tools, address: str, span: Span) -> Comparison:
    """Compares only; nothing is written anywhere."""
    async with open_snapshot(address, tools.settings) as source:
        return await compare(source, tools.engine, tools.scripts, span)


async def pull(
    tools: Tools, address: str, span: Span, show: Show
) -> tuple[Comparison, list[PulledMonth]]:
    """Brings each month that differs into the imports folder, as a file for the ordinary load.

    show: told of each month as it is there. A pull that fails or is killed leaves whole files
    only, and the next one writes the others.
    """
    folder = tools.settings.imports_dir
    pulled = []
    with month_files.folder_errors(folder):
        async with (
            month_files.alone(folder),
            open_snapshot(address, tools.settings) as source,
        ):
            comparison = await compare(source, tools.engine, tools.scripts, span)
            for difference in comparison.differing:
                pulled.append(await extract(source, tools, folder, comparison, difference))
                show(pulled[-1])
    return comparison, pulled


async def extract(
    source: AsyncConnection,
    tools: Tools,
    folder: Path,
    comparison: Comparison,
    difference: Difference,
) -> PulledMonth:
    """Writes one month's file, unless its content waits or was loaded already."""
    file = await threads.run(Unnamed, folder, difference.month)
    try:
        await copy_month(source, tools, comparison.place, file)
        crash_points.reach(Point.MONTH_COPIED)
        scope = f"{difference.month:%Y-%m}"
        latest = comparison.latest.get(scope)
        if latest and latest.sha256 == file.sha256:
            if latest.rows_left_out:
                return PulledMonth(
                    difference, Outcome.LEFT_OUT, file.sha256, load_id=latest.load_id
                )
            # The warehouse was changed by another hand than a load's. The ledger would take the
            # same content for a duplicate; a blank line makes it another one.
            await threads.run(file.write, b"\n")
        if load_id := await find_loaded(tools, Content(FEED, scope, file.sha256)):
            return PulledMonth(difference, Outcome.LOADED, file.sha256, load_id=load_id)
        path, is_new = await threads.run(file.name)
        outcome = Outcome.WRITTEN if is_new else Outcome.WAITING
        return PulledMonth(difference, outcome, file.sha256, path)
    finally:
        await threads.run(file.discard)


async def copy_month(source: AsyncConnection, tools: Tools, place: str, file: Unnamed) -> None:
    """Copies a month's rows into the file, as they come: none of it is held in memory."""
    span = Span.month(file.month)
    rows = tools.scripts.text(
        "pull/month_rows",
        {"place": place},
        first=f"timestamp '{span.first}'",
        beyond=f"timestamp '{span.beyond}'",
    )
    output = cast("BinaryIO", file)  # of which the driver uses `write` alone
    await driver_connection(source).copy_from_query(rows, output=output, format="csv", header=True)


async def find_loaded(tools: Tools, content: Content) -> int | None:
    """Gives the load that brought this very content since the months were compared."""
    with driver_errors():
        async with tools.engine.connect() as connection:
            return await ledger.find_same_content(connection, content)
