"""Runs measured side by side, as a table on the screen and in RESULTS.md."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "RESULTS.md"
# What RESULTS.md shows, row by row, so that a run of some rows leaves the others as they were.
KEPT = FOLDER / "results.json"
SHOWN = ("number", "work", "ours", "peer", "figure", "worst", "target", "day")
LIBRARIES = ("polars", "asyncpg", "sqlalchemy", "pgpq", "pyarrow", "dataframely")


@dataclass(frozen=True, slots=True)
class Measured:
    """One line of the results: Sluice beside one peer, by medians of runs that alternated.

    number: the row of the benchmarks' table, as "1" or "6 p99". work: what was done, on what.
    ours, peer: the medians, with their unit. figure: the ratio or difference that the target is
    about; worst: the same in the worst single run. target: empty where there is none. command: the
    peer's, as people would type it.
    """

    number: str
    work: str
    ours: str
    peer: str
    figure: str
    worst: str
    target: str
    is_met: bool
    command: str


@dataclass(frozen=True, slots=True)
class Timer:
    """How often everything is repeated.

    within_seconds: no repetition but the first is begun later than this.
    """

    times: int
    within_seconds: float = math.inf

    @property
    def slow(self) -> Timer:
        """Gives the timer for what takes over 30 seconds."""
        return replace(self, times=min(self.times, 3))

    def repetitions(self, what: str = "run") -> Iterator[int]:
        """Counts the repetitions, and says so on the screen."""
        began = time.monotonic()
        for number in range(1, self.times + 1):
            if number > 1 and time.monotonic() - began > self.within_seconds:
                return
            print(f"  {what} {number} of {self.times}", flush=True)
            yield number


Benchmark = Callable[[Timer, bool], Iterator[Measured]]
"""Measures some lines, given how often to repeat and whether at a tenth of the size."""


def faster(
    number: str,
    work: str,
    ours: Sequence[float],
    command: str,
    peer: Sequence[float],
    target: float | None,
    floor: float = 0.0,
) -> Measured:
    """Compares seconds, run by run: the figure is how many times faster than the peer we are.

    floor: what no single run may be under.
    """
    figure = median(peer) / median(ours)
    worst = min(theirs / own for own, theirs in zip(ours, peer, strict=True))
    return Measured(
        number,
        work,
        f"{median(ours):.3g} s",
        f"{median(peer):.3g} s",
        f"{figure:.2f} x",
        f"{worst:.2f} x",
        f"≥ {target:g} x{f', none < {floor:g} x' if floor else ''}" if target else "",
        figure >= (target or 0) and worst >= floor,
        command,
    )


def at_most(
    number: str,
    work: str,
    ours: Sequence[float],
    command: str,
    peer: Sequence[float],
    target: float,
) -> Measured:
    """Compares seconds, run by run: the figure is how many times the peer's time we take."""
    figure = median(ours) / median(peer)
    worst = max(own / theirs for own, theirs in zip(ours, peer, strict=True))
    return Measured(
        number,
        work,
        f"{1000 * median(ours):.3g} ms",
        f"{1000 * median(peer):.3g} ms",
        f"{figure:.3g} x",
        f"{worst:.3g} x",
        f"≤ {target:g} x",
        figure <= target,
        command,
    )


def at_most_more(
    number: str,
    work: str,
    ours: Sequence[float],
    command: str,
    peer: Sequence[float],
    target: float,
) -> Measured:
    """Compares seconds, run by run: the figure is how much longer than the peer we take, in ms."""
    figure = 1000 * (median(ours) - median(peer))
    worst = 1000 * max(own - theirs for own, theirs in zip(ours, peer, strict=True))
    return Measured(
        number,
        work,
        f"{1000 * median(ours):.0f} ms",
        f"{1000 * median(peer):.0f} ms",
        f"{figure:+.0f} ms",
        f"{worst:+.0f} ms",
        f"< +{target:g} ms",
        figure < target,
        command,
    )


def machine() -> str:
    """Says what the figures were measured on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"{os.cpu_count()} cores ({cpu}), Python {platform.python_version()}, {versions}"


def as_markdown(lines: Iterable[dict[str, str]]) -> str:
    """Writes the results as a table, and the peers' commands below it."""
    lines = list(lines)
    table = [
        "| # | work | Sluice | peer | figure | worst run | target | measured on |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(f"| {' | '.join(str(line[name]) for name in SHOWN)} |" for line in lines),
    ]
    peers = [f"- row {line['number']}: `{line['command']}`" for line in lines]
    return "\n".join([*table, "", "The peers:", "", *peers])


def _described(measured: Sequence[Measured]) -> list[dict[str, str]]:
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    return [asdict(each) | {"target": _judged(each), "day": day} for each in measured]


def _judged(measured: Measured) -> str:
    if not measured.target:
        return "none"
    return f"{measured.target}, {'met' if measured.is_met else 'missed'}"


def _order(line: dict[str, str]) -> tuple[int, str]:
    number = line["number"].split()[0]
    return int(number), line["number"]


def write_results(measured: Sequence[Measured], *, quick: bool) -> None:
    """Prints the results; a full-sized run's take the place of the same rows' earlier ones."""
    lines = _described(measured)
    print(f"\n{as_markdown(lines)}\n")
    if quick:
        return
    earlier = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else []
    again = {line["number"].split()[0] for line in lines}
    kept = [line for line in earlier if line["number"].split()[0] not in again]
    lines = sorted([*kept, *lines], key=_order)
    KEPT.write_text(json.dumps(lines, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    RESULTS.write_text(
        f"# Benchmark results\n\n{machine()}; embedded PostgreSQL 18 with fsync and"
        f" synchronous_commit on. `make bench` writes this table; each line was measured side by"
        f" side in one run, alternating; medians.\n\n{as_markdown(lines)}\n",
        encoding="utf-8",
    )
