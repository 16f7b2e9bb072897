"""`make bench`: all rows; `QUICK=1` at a tenth of the size, `ROWS="1 6"` some of them."""

from __future__ import annotations

import os

from benchmarks import (
    bad_rows,
    exports,
    features,
    flood,
    growth,
    latency,
    memory,
    month_peers,
    months,
    pulls,
    refreshes,
    streams,
    upserts,
)
from benchmarks.results import Benchmark, Timer, write_results

# So that a quick run of everything stays under five minutes, whatever is slow.
QUICK_SECONDS = 12

# The rows that each benchmark measures, in the order they run.
BENCHMARKS: dict[str, Benchmark] = {
    "1 2 3": months.measure,
    "1": month_peers.measure,
    "4": upserts.measure,
    "5": bad_rows.measure,
    "6": latency.measure,
    "7": flood.measure,
    "8": refreshes.measure,
    "9 10": exports.measure,
    "11": memory.measure,
    "12": pulls.measure,
    "13 14": features.measure,
    "15": streams.measure,
    "growth": growth.measure,
}


def wanted(rows: str) -> list[Benchmark]:
    """Gives the benchmarks that measure any of the rows; all where none is named."""
    asked = set(rows.split())
    return [
        benchmark
        for numbers, benchmark in BENCHMARKS.items()
        if not asked or asked & set(numbers.split())
    ]


def main() -> None:
    """Runs the benchmarks, each on a stand of its own, and writes the results."""
    quick = os.environ.get("QUICK", "") not in ("", "0")
    timer = Timer(times=3, within_seconds=QUICK_SECONDS) if quick else Timer(times=5)
    measured = []
    for benchmark in wanted(os.environ.get("ROWS", "")):
        measured += list(benchmark(timer, quick))
    write_results(measured, quick=quick)


main()
