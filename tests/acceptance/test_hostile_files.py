"""Hostile content through the front door: refused or loaded with a reason, in bounded memory."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import asyncpg

from tests.acceptance import hostile_contents as hostile
from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import entity_csv, some_values
from tests.acceptance.front_door import Daemon, Front

MOST_MB = 400
LIMIT_SECONDS = 150
FLOOD_ROWS = 600_000
PLAIN_CELL = re.compile(r"-?[0-9][0-9T.:+-]*|")


def peak_mb(daemon: Daemon) -> int:
    """The most memory the service ever had, as Linux counts it; that of the decoders is limited."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text("ascii")
    found = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    assert found
    return int(found[1]) * 1024 // 1_000_000


async def test_hostile_files_are_refused_in_bounded_memory_and_the_next_good_one_loads(
    front: Front, daemon: Daemon
) -> None:
    for name, (make, _) in hostile.REFUSED.items():
        front.drop(name, make())
    hostile.write_long_line(front.path(".long_line"))
    front.path(".long_line").rename(front.path("loans_long_line.csv"))
    expected = {name: words for name, (_, words) in hostile.REFUSED.items()}
    expected["loans_long_line.csv"] = "a line longer than 1 MiB"

    loads = {each["file_name"]: each for each in await front.filed(len(expected), LIMIT_SECONDS)}

    assert {name: load["status"] for name, load in loads.items()} == dict.fromkeys(
        expected, "quarantined"
    )
    for name, words in expected.items():
        assert words in loads[name]["error"], name
        note = json.loads(
            (front.settings.quarantine_folder / f"{loads[name]['load_id']}_{name}.error.json")
            .read_text("utf-8")
        )  # fmt: skip
        assert all(note[part] for part in ("found", "expected", "what_to_do")), name
    values = some_values(50)
    front.drop("entity_2023-01.csv", entity_csv(values))
    assert (await front.filed(len(expected) + 1))[-1]["status"] == "loaded"
    assert await front.entity() == values
    assert await front.staged_tables() == []
    assert peak_mb(daemon) < MOST_MB


async def test_floods_of_rows_that_break_a_rule_are_refused_in_bounded_memory(
    front: Front, daemon: Daemon
) -> None:
    # As many short rows as a block of text can hold, well formed, and of two feeds at once.
    rows = {
        "entity_2023_01.csv": (b"created_at,value\n", b"2023-02-01 00:00:00,5\n"),
        "loans.csv": (b"repayment_date,loans,defaults,liquidations\n", b"2023-01-01,1,1,1\n"),
    }
    for name, (header, row) in rows.items():
        front.drop(name, header + row * FLOOD_ROWS)

    loads = await front.filed(2, LIMIT_SECONDS)

    ends = {load["file_name"]: (load["status"], load["rows_rejected"]) for load in loads}
    assert ends == dict.fromkeys(rows, ("quarantined", FLOOD_ROWS))
    kept = "SELECT DISTINCT column_name, reason, raw FROM ops.reject ORDER BY raw"
    assert await front.rows(kept) == [
        (None, "defaults and liquidations exceed loans", "2023-01-01,1,1,1"),
        (
            "created_at",
            "'2023-02-01 00:00:00' is not before 2023-02-01 00:00:00",
            "2023-02-01 00:00:00,5",
        ),
    ]
    assert peak_mb(daemon) < MOST_MB


async def test_bad_values_cost_their_own_rows_and_text_is_never_obeyed(
    front: Front, daemon: Daemon
) -> None:
    front.drop(f"loans{hostile.SQL}.csv", hostile.loans_among_bad_rows())
    front.drop("loans_days.parquet", hostile.beyond_all_calendars())
    front.drop("titles.csv", hostile.titles_as_utf16())
    front.drop("titles.jsonl", hostile.titles_as_json())

    loads = {each["file_name"]: each for each in await front.filed(4)}

    assert {
        name: (load["status"], load["rows_read"], load["rows_rejected"])
        for name, load in loads.items()
    } == {
        f"loans{hostile.SQL}.csv": ("loaded", 300 + len(hostile.BAD_LOANS), len(hostile.BAD_LOANS)),
        "loans_days.parquet": ("loaded", 32, 2),
        "titles.csv": ("loaded", len(hostile.ODD_TITLES) + 1, 1),
        "titles.jsonl": ("loaded", 22, 2),
    }
    loans = await front.loans()
    assert {day: loans[day] for day in hostile.GOOD_DAYS} == dict.fromkeys(
        hostile.GOOD_DAYS, (10, 1, 1)
    )
    assert len(loans) == 330
    titles = {row[0] for row in await front.rows("SELECT title FROM warehouse.job_title")}
    odd_titles = {title.lower() for title in hostile.ODD_TITLES}
    assert titles == odd_titles | {f"json {k}" for k in range(20)}
    said = await front.status()
    assert {each["file_name"] for each in said["files"]} == set(loads)


async def test_nothing_that_is_handed_on_is_a_formula(
    front: Front, watch: Watch, sql: asyncpg.Connection
) -> None:
    await watch(MAX_REJECTED_RATIO="1")
    rows = "".join(f'"{formula}"\n' for formula in hostile.FORMULAS)
    front.drop("titles_1.csv", hostile.TITLES_HEADER + rows.encode())
    front.drop("loans_1.csv", hostile.loans_among_bad_rows())
    front.drop("entity_2023-01.csv", entity_csv(dict.fromkeys(some_values(3), -9)))
    await front.filed(3)
    assert (await front.command("refresh"))[0] == 0
    assert (await front.command("export"))[0] == 0

    # What is exported has columns of numbers and dates only, whatever the warehouse holds.
    exports = front.kept(front.settings.exports_dir)
    assert len(exports) == 4
    for name, content in exports.items():
        header, *exported = csv.reader(io.StringIO(content.decode()))
        assert all(re.fullmatch("[a-z_0-9]+", column) for column in header), name
        odd = [cell for row in exported for cell in row if not PLAIN_CELL.fullmatch(cell)]
        assert (odd, len(exported) > 0) == ([], True), name

    # Rejected rows are handed on as they stand, but so that no spreadsheet computes them.
    load_id = await sql.fetchval("SELECT load_id FROM ops.load WHERE file_name = 'titles_1.csv'")
    code, printed = await front.command("rejects", str(load_id), "--csv")
    _, *rejects = csv.reader(io.StringIO(printed, newline=""))
    assert (code, len(rejects)) == (0, len(hostile.FORMULAS))
    assert [cell for row in rejects for cell in row if cell[:1] in {*"=+-@\t=", "\r", "\n"}] == []
