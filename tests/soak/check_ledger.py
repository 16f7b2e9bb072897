"""Holds the ledger, the archive, the quarantine and what must not be left against the oracle."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from tests.soak.dropping import Drop
from tests.soak.oracle import Counts, Fate, totals
from tests.soak.remains import Remains, Row, visible, waiting
from tests.soak.verdict import Verdict, differences

COUNTS = [f"rows_{each.name}" for each in fields(Counts)]
STAYING_TABLES = ("job_titles", "loans", "risk_scores")
# How a load may end whose file was written to meanwhile: its last version has a load of its own.
BROKEN_OFF = ("written to while it was read", "taken away or replaced", "overwritten before")
REFUSED = "quarantined"
KEPT = ((".archive", ("loaded", "duplicate")), (".quarantine", (REFUSED,)))


async def judge(remains: Remains, verdict: Verdict) -> list[Row]:
    """Looks at all of it; gives the loads in the order they ended."""
    loads = await remains.rows("SELECT * FROM ops.load ORDER BY finished_at, load_id")
    judge_loads(remains, loads, verdict)
    judge_sums(remains, loads, verdict)
    judge_kept(remains, loads, verdict)
    await judge_leftovers(remains, verdict)
    return loads


def judge_loads(remains: Remains, loads: Sequence[Row], verdict: Verdict) -> None:
    """Each file has the one load it should have, and those of a lane came in their order."""
    faults = [
        f"load {load['load_id']} of {load['file_name']} failed: {load['error']}"
        for load in loads
        if load["status"] == "failed" and not any(each in load["error"] for each in BROKEN_OFF)
    ]
    of_content: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for load in loads:
        if load["status"] != "failed":
            of_content[load["file_name"], load["sha256"]].append(load)
    latest: dict[str, Any] = {}
    for drop, fate in zip(remains.drops, remains.expected, strict=True):
        found = of_content[drop.file_name, drop.sha256]
        if not found:
            faults.append(f"{drop.name} ({drop.way}) has no load, expected {fate}")
            continue
        load = found.pop(0)
        faults += fate_faults(drop, fate, load)
        if fate.status == "loaded":
            if latest.get(drop.lane, load["finished_at"]) > load["finished_at"]:
                faults.append(f"{drop.name} was loaded after a later one of {drop.lane}")
            latest[drop.lane] = load["finished_at"]
    faults += [f"{key}: {len(more)} loads too many" for key, more in of_content.items() if more]
    statuses = Counter(load["status"] for load in loads)
    verdict.note("loads", ", ".join(f"{n:,} {name}" for name, n in statuses.items()), faults)


def fate_faults(drop: Drop, fate: Fate, load: Row) -> Iterator[str]:
    """What is wrong with the load of a file."""
    counts = Counts(*(load[name] for name in COUNTS))
    if load["status"] != fate.status:
        yield f"{drop.name} is {load['status']} ({load['error']}), expected {fate}"
    elif fate.counts is not None and counts != fate.counts:
        yield f"{drop.name} ({load['status']}): {counts}, expected {fate.counts}"
    if load["filed_at"] is None:
        yield f"{drop.name} is {load['status']} and was never filed away"


def judge_sums(remains: Remains, loads: Sequence[Row], verdict: Verdict) -> None:
    """In each load, and over all of them, every row read is accounted for."""
    found = [(load, Counts(*(load[name] for name in COUNTS))) for load in loads]
    faults = [
        f"load {load['load_id']} does not add up: {counts}"
        for load, counts in found
        if counts.read != sum(astuple(counts)[1:]) - counts.deleted
    ]
    of_loaded = totals(counts for load, counts in found if load["status"] == "loaded")
    expected = totals(
        fate.counts for fate in remains.expected if fate.status == "loaded" and fate.counts
    )
    if of_loaded != expected:
        faults.append(f"all loaded ones together {of_loaded}, expected {expected}")
    total = totals(counts for _, counts in found)
    verdict.note(
        "rows read",
        f"{total.read:,} = {total.inserted:,} inserted + {total.updated:,} updated"
        f" + {total.unchanged:,} unchanged + {total.rejected:,} rejected"
        f" + {total.duplicate:,} repeated",
        faults,
    )
    verdict.tell("loads taken up again", sum(load["attempt"] > 1 for load in loads))


def judge_kept(remains: Remains, loads: Sequence[Row], verdict: Verdict) -> None:
    """The archive and the quarantine hold each file's content, and the ledger says where."""
    fates = list(zip(remains.drops, remains.expected, strict=True))
    for name, statuses in KEPT:
        folder = remains.imports / name
        found = Counter(hashes(folder))
        expected = Counter(drop.sha256 for drop, fate in fates if fate.status in statuses)
        faults = differences(found, expected)
        for load in loads:
            if load["status"] in statuses:
                faults += path_faults(load, folder)
        verdict.note(name, f"{found.total():,} files, each with its content", faults)


def path_faults(load: Row, folder: Path) -> Iterator[str]:
    """What is wrong with where the ledger says a file is kept."""
    path = Path(load["filed_path"] or "nowhere")
    if not path.is_relative_to(folder) or not path.exists():
        yield f"load {load['load_id']}: its file is not at {path}"
    elif hashlib.sha256(path.read_bytes()).hexdigest() != load["sha256"]:
        yield f"load {load['load_id']}: another content is at {path}"
    elif load["status"] == REFUSED and not path.with_name(f"{path.name}.error.json").exists():
        yield f"load {load['load_id']}: there is no note beside {path}"


def hashes(folder: Path) -> Iterable[str]:
    """The content of each file kept, notes left out."""
    for path in visible(folder):
        if not path.name.endswith(".error.json"):
            yield hashlib.sha256(path.read_bytes()).hexdigest()


async def judge_leftovers(remains: Remains, verdict: Verdict) -> None:
    """Nothing stays in staging, among temporary files or in the imports folder."""
    tables = await remains.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'staging'")
    names = {table["tablename"] for table in tables}
    faults = [f"staging.{name} was left" for name in sorted(names - set(STAYING_TABLES))]
    for name in STAYING_TABLES:
        held = await remains.sql.fetchval(f"SELECT count(*) FROM staging.{name}")
        faults += [f"staging.{name} still holds {held} rows"] if held else []
    verdict.note(
        "staging", f"{len(names)} tables, {'with leftovers' if faults else 'empty'}", faults
    )
    spooled = [str(path) for path in (remains.folder / "tmp").rglob("*")]
    verdict.note("spool files left", len(spooled), spooled)
    left = [str(path.relative_to(remains.imports)) for path in waiting(remains.imports)]
    verdict.note("files left in imports/", len(left), left)
