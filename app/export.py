"""Writes the derived tables out as CSV files, only those whose numbers changed; ends the flow.

Refresh notes the days it changes in `ops.changed_day`. The exports folder remembers in
`.covered.json` up to which refresh it is written, so each folder of each database goes on from
where it stands, and one that is new, or that a run left half written, is put right.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import asyncpg
import structlog

from app import crash_points, export_folder, export_mark
from app.crash_points import Point
from app.errors import ConfigError
from app.export_folder import Changes, ExportFile, in_folder, locked
from app.export_mark import Mark
from app.settings import Settings
from app.store.driver_errors import driver_errors
from app.store.scripts import Scripts, schema_names

log = structlog.get_logger()

FILES_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class ExportTable:
    """Rows that are written out by `sql/exports/<name>.sql`, a file for each key in `template`.

    derived: name of the derived table they come from. template: path of a file, with columns of
    its rows in braces.
    """

    name: str
    derived: str
    template: str

    def with_year(self, year: int | None, month: int | None) -> str:
        """Gives the template of the files of one year or month only."""
        template = self.template
        if year is not None:
            template = template.replace("{year}", str(year))
        if month is not None:
            template = template.replace("{month}", str(month))
        return template


EXPORT_TABLES = (
    ExportTable(
        "entity_stats_daily",
        derived="entity_daily",
        template="year={year}/month={month}/day={day}/entity_stats_daily_{year}_{month}_{day}.csv",
    ),
    ExportTable(
        "entity_stats_monthly",
        derived="entity_daily",
        template="year={year}/month={month}/entity_stats_monthly_{year}_{month}.csv",
    ),
    ExportTable(
        "entity_stats_yearly",
        derived="entity_daily",
        template="year={year}/entity_stats_yearly_{year}.csv",
    ),
    ExportTable(
        "default_liquidation_rolling_avg",
        derived="default_liquidation_rolling_avg_hist",
        template="loans/default_liquidation_rolling_avg.csv",
    ),
)


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did; paths are relative to the exports folder.

    unchanged: files it looked at and found right.
    """

    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Part:
    """What a run writes of one table; None stands for no limit.

    days: changed days, whose files and whose months' and years' files are written.
    """

    table: ExportTable
    year: int | None = None
    month: int | None = None
    days: Sequence[date] | None = None


async def export(
    connection: asyncpg.Connection,
    settings: Settings,
    *,
    year: int | None = None,
    month: int | None = None,
    full: bool = False,
) -> Exported:
    """Writes the files whose numbers changed since the folder's last export.

    full: compares every file with the database, and removes those that no longer belong.
    year, month: does this for the year's files, or for the month's and its days', alone.
    Runs on one folder wait for each other. Raises ConfigError when the folder cannot be written
    or the database refuses, RetryableError when the disk is full, the database cannot be reached
    or another run does not end in time; the next export then finishes the work.
    """
    if month is not None and year is None:
        raise ConfigError("A month alone names no files: give its year too.")
    began = time.monotonic()
    changes = Changes()
    with driver_errors():
        async with locked(settings.exports_dir):
            await bring_up_to_date(connection, settings, changes, year, month, full=full)
    seconds = time.monotonic() - began
    log.info(
        "exports written",
        written=len(changes.written),
        unchanged=changes.unchanged,
        removed=len(changes.removed),
        seconds=round(seconds, 3),
    )
    return Exported(tuple(changes.written), tuple(changes.removed), changes.unchanged, seconds)


async def bring_up_to_date(
    connection: asyncpg.Connection,
    settings: Settings,
    changes: Changes,
    year: int | None,
    month: int | None,
    *,
    full: bool,
) -> None:
    """Writes and removes what is asked for, from one state of the database; the mark comes last."""
    folder, scripts = settings.exports_dir, Scripts(schema_names(settings))
    templates = [table.template for table in EXPORT_TABLES]
    await in_folder(export_folder.begin, folder, templates)
    crash_points.reach(Point.EXPORT_BEGUN)
    # All statements see one state of the database.
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        newest = await export_mark.newest(connection, scripts)
        covered = await in_folder(export_mark.read, folder)
        if year is not None:
            parts = parts_of(year, month)
        elif (
            full
            or covered is None
            or not await export_mark.goes_on(connection, scripts, covered, newest)
        ):
            parts = [Part(table) for table in EXPORT_TABLES]
        else:
            parts = await changed_parts(connection, scripts, covered)
        for part in parts:
            await write_part(connection, scripts, folder, part, changes)
    crash_points.reach(Point.EXPORTED)
    if year is None and covered != newest:
        await in_folder(export_mark.write, folder, newest)
        crash_points.reach(Point.MARKED)
    await in_folder(export_folder.finish, folder)


def parts_of(year: int, month: int | None) -> list[Part]:
    """Gives all files of a year, or of one month of it."""
    needed = "{year}" if month is None else "{month}"
    return [Part(table, year, month) for table in EXPORT_TABLES if needed in table.template]


async def changed_parts(
    connection: asyncpg.Connection, scripts: Scripts, covered: Mark
) -> list[Part]:
    """Gives what refreshes changed after the covered one."""
    rows = await connection.fetch(
        *scripts.call("exports/changed_days", refresh_id=covered.refresh_id)
    )
    by_name = groupby(rows, key=lambda row: row["name"])
    days = {name: [row["day"] for row in group] for name, group in by_name}
    return [
        Part(table, days=days[table.derived]) for table in EXPORT_TABLES if table.derived in days
    ]


async def write_part(
    connection: asyncpg.Connection, scripts: Scripts, folder: Path, part: Part, changes: Changes
) -> None:
    """Writes the files of one table that differ, and removes those whose rows are gone."""
    obsolete = await in_folder(candidates, folder, part)
    days = None if part.days is None else list(part.days)
    limits = {"year": part.year, "month": part.month, "days": days}
    rows = await connection.fetch(*scripts.call(f"exports/{part.table.name}", **limits))
    files = list(files_of(part.table, rows))
    for start in range(0, len(files), FILES_AT_ONCE):
        batch = files[start : start + FILES_AT_ONCE]
        await in_folder(export_folder.write_files, folder, batch, changes)
    obsolete.difference_update(file.path for file in files)
    await in_folder(export_folder.remove_files, folder, obsolete, changes)


def candidates(folder: Path, part: Part) -> set[str]:
    """Gives the paths that lose their file unless there are rows for them."""
    if part.days is None:
        return export_folder.existing(folder, part.table.with_year(part.year, part.month))
    return {
        part.table.template.format(year=day.year, month=day.month, day=day.day) for day in part.days
    }


def files_of(table: ExportTable, rows: Sequence[asyncpg.Record]) -> Iterator[ExportFile]:
    """Gives a file for each run of rows with the same path."""
    for path, group in groupby(rows, key=table.template.format_map):
        of_file = list(group)
        lines = [of_file[0].keys(), *(map(as_text, row.values()) for row in of_file)]
        yield ExportFile(path, "".join(f"{','.join(line)}\n" for line in lines).encode())


def as_text(value: object) -> str:
    """Gives a value as CSV text: null empty, doubles in the shortest form that reads back equal."""
    match value:
        case None:
            return ""
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat()
        case _:
            return str(value)
