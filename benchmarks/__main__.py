"""`make bench`: measures all rows; `make bench QUICK=1` all at a tenth of the size."""

from __future__ import annotations

import os

from benchmarks import months
from benchmarks.results import Timer, write_results
from benchmarks.stand import stand

MONTH_ROWS = 5_000_000


def main() -> None:
    """Runs every benchmark on one stand and writes the results."""
    quick = os.environ.get("QUICK", "") not in ("", "0")
    timer = Timer(times=3 if quick else 5)
    with stand() as ready:
        measured = list(months.measure(ready, timer, MONTH_ROWS // 10 if quick else MONTH_ROWS))
    write_results(measured, quick=quick)


main()
