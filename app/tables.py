"""How results look at a terminal: tables and sentences, built here and printed by the CLI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from app.domain import Load, LoadStatus
from app.folder import Waiting

STATUS_STYLE = {
    "loaded": "green",
    "duplicate": "cyan",
    "running": "yellow",
    "quarantined": "red",
    "failed": "bold red",
}


def instant(at: datetime | None) -> str:
    """Writes an instant in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else "never"


def file_bytes(size: int) -> str:
    """Writes a size with a unit people read at a glance."""
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} GB"


def outcome(load: Load) -> str:
    """Says in one sentence how a load ended."""
    counts = load.counts
    if load.status is LoadStatus.LOADED:
        return (
            f"{load.file_name}: loaded as load {load.load_id}: {counts.read} rows read,"
            f" {counts.inserted} inserted, {counts.updated} updated,"
            f" {counts.unchanged} unchanged, {counts.deleted} deleted,"
            f" {counts.rejected} rejected, {counts.duplicate} repeated"
        )
    return f"{load.file_name}: {load.status} (load {load.load_id}): {load.error}"


def files_table(files: Sequence[Mapping[str, Any]]) -> Table:
    """Shows what happened to the files that moved last."""
    table = Table(title="Files", title_justify="left")
    table.add_column("load", justify="right")
    table.add_column("file", overflow="fold")
    table.add_column("feed")
    table.add_column("status")
    table.add_column("what happened", overflow="fold")
    table.add_column("ended (UTC)")
    for row in files:
        status = str(row["status"])
        table.add_row(
            str(row["load_id"]),
            Text(row["file_name"]),
            row["pipeline"] or "-",
            f"[{STATUS_STYLE[status]}]{status}[/]",
            Text(row["what_happened"]),
            instant(row["finished_at"]) if row["finished_at"] else "-",
        )
    return table


def waiting_table(waiting: Sequence[Waiting]) -> Table:
    """Shows the files in the imports folder and why each waits."""
    table = Table(title="Waiting in imports/", title_justify="left")
    table.add_column("file", overflow="fold")
    table.add_column("size", justify="right")
    table.add_column("since (UTC)")
    table.add_column("waits", overflow="fold")
    for each in waiting:
        since = instant(each.since)
        table.add_row(Text(each.name), file_bytes(each.file_bytes), since, Text(each.reason))
    return table


def freshness_table(freshness: Sequence[Mapping[str, Any]]) -> Table:
    """Shows how far the derived tables have come."""
    table = Table(title="Derived tables", title_justify="left")
    table.add_column("table", overflow="fold")
    table.add_column("refreshed (UTC)")
    table.add_column("up to load", justify="right")
    table.add_column("days waiting", justify="right")
    for row in freshness:
        table.add_row(
            row["name"],
            instant(row["refreshed_at"]),
            str(row["covered_load_id"] or "-"),
            str(row["days_waiting"]),
        )
    return table


def rows_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Shows the first rows of a view."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if value is None else shown(value)) for value in row))
    return table


def shown(value: object) -> str:
    """Writes one value of a view, floats to six digits."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return instant(value) if isinstance(value, datetime) else str(value)
