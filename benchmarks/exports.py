"""Rows 9 and 10: commands that find nothing new, and three years of exports in full."""

from __future__ import annotations

import csv
import subprocess
import time
from collections.abc import Iterator
from decimal import Decimal
from os import sync
from pathlib import Path

from benchmarks.refreshes import YEARS, facts_of, fill
from benchmarks.results import Measured, Timer, at_most_more, faster
from benchmarks.stand import PEERS, PEERS_PYTHON, Stand, stand

# The exports are of days, however many rows these have.
ROWS_A_MONTH = 20_000
REPETITIONS = 10
PEER = PEERS / "export_tree.py"

Numbers = tuple[list[str], list[list[Decimal]]]
"""A file's header, and its rows."""


def measure(timer: Timer, quick: bool) -> Iterator[Measured]:
    """Measures the commands on three years of days, which are the same at any size."""
    with stand(ON_SUCCESS="delete") as ready:
        fill(ready, range(YEARS * 12), ROWS_A_MONTH // 10 if quick else ROWS_A_MONTH)
        ready.app("refresh")
        ready.app("export")
        yield from nothing_new(ready, timer if quick else Timer(REPETITIONS))
        yield in_full(ready, timer)


def nothing_new(stand: Stand, timer: Timer) -> Iterator[Measured]:
    """Compares both commands, as whole processes, with one that only prints its help."""
    bare: list[float] = []
    seconds: dict[str, list[float]] = {"refresh": [], "export": []}
    for _ in timer.repetitions("nothing new"):
        bare.append(stand.app("--help")[0])
        for command, runs in seconds.items():
            needed, log = stand.app(command)
            facts = facts_of(command, log)
            if facts.get("days_covered") or facts.get("written"):
                raise RuntimeError(f"there was something new: {log}")
            runs.append(needed)
    for command, runs in seconds.items():
        work = f"{command} with nothing new, the whole command"
        yield at_most_more(f"9 {command}", work, runs, "python -m app --help", bare, 150)


def in_full(stand: Stand, timer: Timer) -> Measured:
    """Compares the export of everything into a new folder, as a whole process."""
    ours, peer = [], []
    for number in timer.repetitions("export in full"):
        exported, theirs = new_folders(stand.folder, number)
        ours.append(stand.app("export", "--full", EXPORTS_DIR=str(exported))[0])
        peer.append(seconds_of_peer(stand.url, theirs))
        require_equal(numbers_in(exported), numbers_in(theirs))
    files = len(numbers_in(theirs))
    work = f"export in full: {files:,} files of {YEARS} years, synced; the whole command"
    command = f"python benchmarks/peers/{PEER.name} URL FOLDER  # pandas, not synced"
    return faster("10", work, ours, command, peer, 3.0)


def new_folders(folder: Path, number: int) -> tuple[Path, Path]:
    """Makes a folder for us and one for the peer, and lets the disk finish what it had to do.

    New ones each time: for some seconds ext4 is slow to make files where others were removed.
    """
    folders = folder / f"ours-{number}", folder / f"pandas-{number}"
    for each in folders:
        each.mkdir()
    sync()
    return folders


def seconds_of_peer(url: str, folder: Path) -> float:
    """Has pandas write the tree; gives the seconds of its whole process."""
    began = time.perf_counter()
    subprocess.run([PEERS_PYTHON, PEER, url, folder], check=True)
    return time.perf_counter() - began


def numbers_in(folder: Path) -> dict[str, Numbers]:
    """Gives what the files of a tree say, by path; numbers as numbers."""
    tree = {}
    for path in folder.glob("year=*/**/*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        numbers = [[Decimal(field) for field in row] for row in rows]
        tree[path.relative_to(folder).as_posix()] = (header, numbers)
    return tree


def require_equal(ours: dict[str, Numbers], theirs: dict[str, Numbers]) -> None:
    """Raises RuntimeError when the trees differ, or are not those of three years."""
    differing = [path for path in ours | theirs if ours.get(path) != theirs.get(path)]
    if differing or len(ours) < YEARS * (365 + 12 + 1):
        raise RuntimeError(f"{len(differing)} of {len(ours)} files differ: {differing[:3]}")
