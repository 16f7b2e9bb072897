"""Row 7: thousands of small files dropped at once, beside a bare loop of as many transactions."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import asyncpg
import polars as pl

from benchmarks import bare
from benchmarks.files import loans_frame, write_loans
from benchmarks.results import Measured, Timer, faster
from benchmarks.stand import Stand, stand
from benchmarks.upserts import FORGET_LOANS

FILES = 10_000
DAYS_A_FILE = 10
# So that the contract takes them, there are fewer days than rows: later files give the same days
# anew, as of a later day.
DAYS_BY_FILES = 4
LAST_DAY = date(2023, 5, 9)
TARGET = 0.5
LOOK_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 1_800


def measure(timer: Timer, quick: bool) -> Iterator[Measured]:
    """Measures files renamed into the folder of the running service all at once."""
    files = FILES // 10 if quick else FILES
    with stand() as ready:
        yield compare(ready, timer.slow, make_states(files))


def compare(stand: Stand, timer: Timer, states: Sequence[pl.DataFrame]) -> Measured:
    """Drops the files, then has the bare loop load the same ones; checks that nothing is lost."""
    paths = write_all(states, stand.folder / "loans")
    expected = newest_of(states)
    ours, peer = [], []
    for _ in timer.repetitions("row 7, run"):
        stand.execute(*bare.FRESH_TABLE)
        began = time.perf_counter()
        asyncio.run(bare.load_each(stand.url, paths))
        peer.append(time.perf_counter() - began)
        shutil.rmtree(stand.archive, ignore_errors=True)
        stand.execute(*FORGET_LOANS, "CHECKPOINT")
        ours.append(drop_at_once(stand, paths))
        require_all(stand, paths, expected)
    work = f"{len(paths):,} loans files of {DAYS_A_FILE} rows dropped at once, none lost"
    command = f"{bare.COMMAND}; one after the other on one connection"
    return faster("7", work, ours, command, peer, TARGET)


def make_states(files: int) -> list[pl.DataFrame]:
    """Gives the rows of each file: ten days on from those of the file before, all over again."""
    loans = loans_frame(files * DAYS_A_FILE, LAST_DAY)
    days = files * DAYS_BY_FILES
    first = LAST_DAY - timedelta(days - 1)
    position = pl.int_range(pl.len()) % days
    loans = loans.with_columns(repayment_date=pl.lit(first) + pl.duration(days=position))
    return list(loans.iter_slices(DAYS_A_FILE))


def write_all(states: Sequence[pl.DataFrame], folder: Path) -> list[Path]:
    """Writes the files; the day their numbers are of moves on each time the days begin again."""
    folder.mkdir()
    rounds = [
        number * DAYS_A_FILE // (len(states) * DAYS_BY_FILES) for number in range(len(states))
    ]
    return [
        write_loans(rows, folder / f"loans_{number:05}.csv", LAST_DAY + timedelta(rounds[number]))
        for number, rows in enumerate(states)
    ]


def newest_of(states: Sequence[pl.DataFrame]) -> list[list[int]]:
    """Gives the numbers of each day, in order, that its last file says, as of the latest day."""
    newest: dict[date, list[int]] = {}
    for rows in states:
        for day, *numbers in rows.iter_rows():
            newest[day] = numbers
    return [newest[day] for day in sorted(newest)]


def drop_at_once(stand: Stand, paths: Sequence[Path]) -> float:
    """Renames copies of all files into imports/; gives the seconds until all loads have ended."""
    hidden = stand.imports / ".dropping"
    shutil.copytree(paths[0].parent, hidden)
    seconds = asyncio.run(rename_all(stand, hidden, paths))
    hidden.rmdir()
    return seconds


async def rename_all(stand: Stand, hidden: Path, paths: Sequence[Path]) -> float:
    connection = await asyncpg.connect(stand.url)
    began = time.perf_counter()
    for path in paths:
        os.rename(hidden / path.name, stand.imports / path.name)  # noqa: PTH104 - one system call
    async with asyncio.timeout(LONGEST_WAIT_SECONDS):
        await wait_for(connection, "finished_at", len(paths))
        seconds = time.perf_counter() - began
        await wait_for(connection, "filed_at", len(paths))
    await connection.close()
    return seconds


async def wait_for(connection: asyncpg.Connection, column: str, files: int) -> None:
    """Waits until so many loads have the column."""
    count = f"SELECT count({column}) FROM ops.load"
    while await connection.fetchval(count) < files:  # noqa: ASYNC110 - another's commits
        await asyncio.sleep(LOOK_SECONDS)


def require_all(stand: Stand, paths: Sequence[Path], expected: list[list[int]]) -> None:
    """Raises RuntimeError unless every file is loaded once and archived, and every row right."""
    names = [path.name for path in paths]
    loaded = stand.value(
        "SELECT array_agg(file_name ORDER BY file_name) FROM ops.load WHERE status = 'loaded'"
    )
    archived = sorted(path.name.split("_", 1)[1] for path in stand.archive.glob("*/*/*/*"))
    left = [path.name for path in stand.imports.iterdir() if not path.name.startswith(".")]
    rows = stand.value(
        "SELECT array_agg(ARRAY[loans, defaults, liquidations] ORDER BY repayment_date)"
        " FROM warehouse.loans"
    )
    if loaded != names or archived != names or left or rows != expected:
        raise RuntimeError(
            f"{len(loaded or [])} loaded, {len(archived)} archived, {len(left)} left over;"
            f" the rows are {'right' if rows == expected else 'wrong'}"
        )
