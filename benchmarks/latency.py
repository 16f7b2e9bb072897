"""Row 6: how soon a small file's rows are visible, the service idle, beside a bare script."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from statistics import median, quantiles

import asyncpg
import polars as pl

from benchmarks import bare
from benchmarks.files import corrected_loans, loans_frame, write_loans
from benchmarks.results import Measured, Timer, at_most
from benchmarks.stand import Stand, stand
from benchmarks.upserts import FORGET_LOANS

FILES = 200
DAYS = 620
LAST_DAY = date(2023, 5, 9)
# Before each file, nothing happens for so long.
REST_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 60
# Tells a waiting connection of each commit. Nobody asks again and again meanwhile, as that would
# take the processor from the service; the trigger's own cost counts as the service's.
TELL = (
    """
    CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('ended', NEW.file_name || ' ' || NEW.status);
        IF NEW.filed_at IS NOT NULL THEN
            PERFORM pg_notify('filed', NEW.file_name || ' ' || NEW.status);
        END IF;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE TRIGGER tell AFTER INSERT OR UPDATE ON ops.load
    FOR EACH ROW WHEN (NEW.finished_at IS NOT NULL) EXECUTE FUNCTION public.tell()
    """,
)


class Told:
    """What a connection has been told of files, each with the instant it heard of it first."""

    def __init__(self) -> None:
        self._heard: dict[tuple[str, str], asyncio.Future[float]] = {}

    def hear(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        """Notes a message; asyncpg calls it."""
        future = self._future(channel, str(payload))
        if not future.done():
            future.set_result(time.perf_counter())

    async def instant(self, channel: str, file_name: str) -> float:
        """Waits for a file to end as loaded, or to be filed so, and gives the instant."""
        async with asyncio.timeout(LONGEST_WAIT_SECONDS):
            return await self._future(channel, f"{file_name} loaded")

    def _future(self, channel: str, payload: str) -> asyncio.Future[float]:
        return self._heard.setdefault((channel, payload), asyncio.Future())


def measure(timer: Timer, quick: bool) -> Iterator[Measured]:
    """Measures files dropped one by one into the folder of the idle service."""
    with stand() as ready:
        ready.execute(*TELL)
        yield from compare(ready, timer, FILES // 10 if quick else FILES)


def compare(stand: Stand, timer: Timer, files: int) -> Iterator[Measured]:
    """Drops the files, then has the bare script load the same ones; compares per run."""
    states = corrections(files)
    paths = [write_loans(each, stand.folder / f"loans_{n}.csv") for n, each in enumerate(states)]
    p50, p99, peer = [], [], []
    for _ in timer.repetitions("row 6, run"):
        stand.execute(*FORGET_LOANS, *bare.FRESH_TABLE)
        seconds = asyncio.run(drop_each(stand, paths))
        p50.append(median(seconds))
        p99.append(quantiles(seconds, n=100, method="inclusive")[98])
        require_loaded(stand, "warehouse.loans", states[-1])
        stand.execute("CHECKPOINT")
        # After the same rest: both sides find the machine idle and its caches cold.
        peer.append(median(asyncio.run(bare.load_each(stand.url, paths, REST_SECONDS))))
        require_loaded(stand, "public.loans_peer", states[-1])
    work = f"of {files} loans files of {DAYS} rows, each by itself, renamed to visible"
    command = f"{bare.COMMAND}; its p50, after the same rest of {REST_SECONDS:g} s before each file"
    yield at_most("6 p50", f"p50 {work}", p50, command, peer, 3)
    yield at_most("6 p99", f"p99 {work}", p99, command, peer, 6)


def corrections(files: int) -> list[pl.DataFrame]:
    """Gives one state of the loans for each file, 1 % different from the one before."""
    states = [loans_frame(DAYS, LAST_DAY)]
    for number in range(1, files):
        states.append(corrected_loans(states[-1], seed=number))
    return states


async def drop_each(stand: Stand, paths: Sequence[Path]) -> list[float]:
    """Drops the files one after the other; gives the seconds until each one's rows are visible."""
    connection = await asyncpg.connect(stand.url)
    told = Told()
    await connection.add_listener("ended", told.hear)
    await connection.add_listener("filed", told.hear)
    seconds = []
    for path in paths:
        await asyncio.sleep(REST_SECONDS)
        unfinished = stand.imports / f".{path.name}"
        unfinished.write_bytes(path.read_bytes())
        began = time.perf_counter()
        os.rename(unfinished, stand.imports / path.name)  # noqa: PTH104 - a system call
        seconds.append(await told.instant("ended", path.name) - began)
        await told.instant("filed", path.name)
    await connection.close()
    return seconds


def require_loaded(stand: Stand, table: str, expected: pl.DataFrame) -> None:
    """Raises RuntimeError unless the table holds the last file's numbers."""
    found = stand.value(
        f"SELECT array_agg(ARRAY[loans, defaults, liquidations] ORDER BY repayment_date)"
        f" FROM {table}"
    )
    if found != [list(row) for row in expected.drop("repayment_date").iter_rows()]:
        raise RuntimeError(f"{table} is not what the last file says")
