"""Times, medians and ratios, as a table on the screen and in RESULTS.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

RESULTS = Path(__file__).parent / "RESULTS.md"
LIBRARIES = ("polars", "asyncpg", "sqlalchemy", "pgpq", "pyarrow", "dataframely")


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the results: our seconds and the peer's, of runs that alternated.

    target: how many times faster than the peer we mean to be.
    """

    number: str
    work: str
    rows: int
    ours: Sequence[float]
    peer_command: str
    peer: Sequence[float]
    target: float

    @property
    def ratio(self) -> float:
        """How many times faster Sluice is, by medians."""
        return median(self.peer) / median(self.ours)

    @property
    def worst_ratio(self) -> float:
        """The smallest ratio of two runs that followed each other."""
        return min(peer / ours for ours, peer in zip(self.ours, self.peer, strict=True))


@dataclass(frozen=True, slots=True)
class Timer:
    """How often everything is repeated."""

    times: int

    def repetitions(self) -> Iterator[int]:
        """Counts the repetitions, and says so on the screen."""
        for number in range(1, self.times + 1):
            print(f"  run {number} of {self.times}", flush=True)
            yield number


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


def as_markdown(measured: Sequence[Measured]) -> str:
    """Writes the results as a table."""
    lines = [
        "| # | work | Sluice, s | rows/s | peer, s | ratio | worst run | target |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in measured:
        seconds = median(each.ours)
        lines.append(
            f"| {each.number} | {each.work} | {seconds:.3f} | {each.rows / seconds:,.0f} |"
            f" {median(each.peer):.3f} | {each.ratio:.2f} | {each.worst_ratio:.2f} |"
            f" {each.target:g} |"
        )
    return "\n".join(lines)


def write_results(measured: Sequence[Measured], *, quick: bool) -> None:
    """Prints the results; a full run is kept in RESULTS.md."""
    table = as_markdown(measured)
    peers = "\n".join(f"- row {each.number}: `{each.peer_command}`" for each in measured)
    print(f"\n{table}\n\n{peers}\n")
    if quick:
        return
    RESULTS.write_text(
        f"# Benchmark results\n\n{datetime.now(UTC):%Y-%m-%d}, {machine()}; embedded PostgreSQL 18"
        f" with fsync and synchronous_commit on. Medians; ratio is peer by Sluice.\n\n{table}\n\n"
        f"The peers:\n\n{peers}\n",
        encoding="utf-8",
    )
