"""Row 11: the most memory the service takes, for a file ten times as large as another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.files import month_frame, write_month
from benchmarks.months import FORGET_MONTH
from benchmarks.results import Measured, Timer
from benchmarks.stand import Stand, server, service

SMALL, LARGE = 2_000_000, 20_000_000
MOST_TIMES, MOST_MB = 1.15, 400
REPETITIONS = 3


def measure(timer: Timer, quick: bool) -> Iterator[Measured]:
    """Measures a fresh service for each load; the database's memory is not counted."""
    small, large = (SMALL // 10, LARGE // 10) if quick else (SMALL, LARGE)
    peaks: dict[int, list[float]] = {small: [], large: []}
    with server() as ready:
        files = {rows: month_of(ready, rows) for rows in peaks}
        for _ in Timer(REPETITIONS).repetitions("memory"):
            for rows, path in files.items():
                peaks[rows].append(peak_of_load(ready, path))
    yield compared(small, peaks[small], large, peaks[large])


def month_of(stand: Stand, rows: int) -> Path:
    """Makes a month's file; its name says that it is that month in whatever size."""
    return write_month(month_frame(2023, 1, rows), stand.folder / f"entity_2023_01_of_{rows}.csv")


def peak_of_load(stand: Stand, path: Path) -> float:
    """Loads the file by a service started for it; gives the service's peak memory in MB."""
    with service(stand.folder, stand.url, ON_SUCCESS="delete") as process_id:
        stand.drop(path)
        peak = sum(map(peak_bytes, with_children(process_id)))
    stand.execute(*FORGET_MONTH, "CHECKPOINT")
    return peak / 1e6


def with_children(process_id: int) -> list[int]:
    """Gives the process and those it started, directly or not."""
    children = [
        int(child)
        for path in Path(f"/proc/{process_id}/task").glob("*/children")
        for child in path.read_text(encoding="utf-8").split()
    ]
    return [process_id, *(each for child in children for each in with_children(child))]


def peak_bytes(process_id: int) -> int:
    """Gives the most memory that a process had at any time, as Linux counts it (VmHWM)."""
    status = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8")
    found = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    assert found
    return 1024 * int(found[1])


def compared(small: int, peaks: list[float], large: int, peaks_of_large: list[float]) -> Measured:
    """Gives the line: the figure is how many times as much the large file takes."""
    times = median(peaks_of_large) / median(peaks)
    worst = max(ours / peer for ours, peer in zip(peaks_of_large, peaks, strict=True))
    return Measured(
        number="11",
        work=f"peak memory of the service (VmHWM) with a file of {large:,} rows",
        ours=f"{median(peaks_of_large):.0f} MB",
        peer=f"{median(peaks):.0f} MB",
        figure=f"{times:.2f} x",
        worst=f"{worst:.2f} x, {max(peaks_of_large):.0f} MB",
        target=f"≤ {MOST_TIMES:g} x and < {MOST_MB} MB",
        is_met=times <= MOST_TIMES and median(peaks_of_large) < MOST_MB,
        command=f"Sluice: a file of {small:,} rows",
    )
