"""How results look at a terminal: tables and sentences, built here and printed by the CLI."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.domain import Load, LoadStatus, MessageReject, Reject
from app.folder import Waiting
from app.store.reports import End

GAP = 2
# How wide a column's name may be, tried in turn until all columns fit beside each other.
HEADER_WIDTHS = (40, 12, 8)
# A longer file name makes its own line longer, and no other.
NAME_WIDTH = 26
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


def reject_text(reject: Reject) -> str:
    """Writes a reject with its row below it; what a terminal would obey is escaped."""
    raw = "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in reject.raw
    )
    column = f", {reject.column_name}" if reject.column_name else ""
    row = raw.replace("\n", "\n    ")
    return f"{place(reject)}{column}: {reject.reason}\n    {row}"


def refusal(load_id: int, end: End) -> str:
    """Says why a load's file was refused, and where it is."""
    where = f" The file: {end.filed_path}" if end.filed_path else ""
    return f"Load {load_id} is {end.status}: {end.error}{where}"


def place(reject: Reject) -> str:
    """Says where a rejected row stands."""
    if isinstance(reject, MessageReject):
        where = f"topic {reject.topic}, partition {reject.partition}"
        return f"{where}, offset {reject.message_offset}"
    return f"line {reject.line_number}"


def plain_table() -> Table:
    """A table without lines between columns, as every column's width counts."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))


def files_table(files: Sequence[Mapping[str, Any]]) -> Group:
    """Shows what happened to the files that moved last: a line of facts, and below it the words."""
    names = [Text(row["file_name"]) for row in files]
    widest = min(NAME_WIDTH, max((name.cell_len for name in names), default=0))
    feed_width = max([4, *(len(row["pipeline"] or "-") for row in files)])
    header = f"  load  {'file':<{widest}}  {'feed':<{feed_width}}  {'ended (UTC)':<19}  status"
    lines: list[RenderableType] = [Text("Files", style="italic"), Text(header, style="bold")]
    for name, row in zip(names, files, strict=True):
        name.pad_right(max(0, widest - name.cell_len))
        status, ended = str(row["status"]), row["finished_at"]
        facts: tuple[str | Text | tuple[str, str], ...] = (
            (f"{row['load_id']:>6}", "bold"),
            name,
            f"{row['pipeline'] or '-':<{feed_width}}",
            f"{instant(ended) if ended else '-':<19}",
            (status, STATUS_STYLE[status]),
        )
        happened = row["what_happened"].removeprefix(f"{status}: ")
        lines += [
            Text("  ").join(Text.assemble(fact) for fact in facts),
            Padding(Text(happened), (0, 0, 0, 8)),
        ]
    return Group(*lines) if files else Group(lines[0], "None so far: drop one into imports/.")


def waiting_table(waiting: Sequence[Waiting]) -> Group:
    """Shows the files in the imports folder and why each waits."""
    table = plain_table()
    table.add_column("file", overflow="fold")
    table.add_column("size", justify="right")
    table.add_column("since (UTC)")
    table.add_column("waits", overflow="fold")
    for each in waiting:
        since = instant(each.since)
        table.add_row(Text(each.name), file_bytes(each.file_bytes), since, Text(each.reason))
    return Group(Text("Waiting in imports/", style="italic"), table)


def freshness_table(freshness: Sequence[Mapping[str, Any]]) -> Group:
    """Shows how far the derived tables have come."""
    table = plain_table()
    table.add_column("table", overflow="fold")
    table.add_column("refreshed (UTC)")
    table.add_column("to load", justify="right")
    table.add_column("days waiting", justify="right")
    for row in freshness:
        table.add_row(
            row["name"],
            instant(row["refreshed_at"]),
            str(row["covered_load_id"] or "-"),
            str(row["days_waiting"]),
        )
    return Group(Text("Derived tables", style="italic"), table)


def rows_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int
) -> Group:
    """Shows the first rows of a view: the columns that fit into the width, and names the others."""
    texts = [[shown(value) for value in row] for row in rows]
    for header_width in HEADER_WIDTHS:
        headers = [folded(column, header_width) for column in columns]
        widths = [
            max(map(cell_len, [*header.split("\n"), *(row[position] for row in texts)]))
            for position, header in enumerate(headers)
        ]
        ends = [end - GAP for end in accumulate(each + GAP for each in widths)]
        if not ends or ends[-1] <= width:
            break
    fitting = max(1, sum(end <= width for end in ends))
    table = plain_table()
    for position, header in enumerate(headers[:fitting]):
        is_number = rows and isinstance(rows[0][position], int | float | Decimal)
        table.add_column(header, justify="right" if is_number else "left", overflow="fold")
    for row in texts:
        table.add_row(*map(Text, row[:fitting]))
    others = ", ".join(columns[fitting:])
    return Group(Text(title, style="italic"), table, *([f"and: {others}"] if others else []))


def folded(column: str, width: int) -> str:
    """Breaks a long column name after underscores."""
    lines = [""]
    for part in re.findall(r"[^_]*_?", column):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def shown(value: object) -> str:
    """Writes one value of a view, floats to six digits."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return instant(value) if isinstance(value, datetime) else str(value)
