"""How cost grows: with the rows of a file, with the workers, with the years that are there."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import asyncpg

from benchmarks.files import month_frame, write_month
from benchmarks.months import FORGET_MONTH, PEER_TABLE
from benchmarks.refreshes import ROWS_A_MONTH, after_new_days, fill
from benchmarks.results import FOLDER, Measured, Timer, machine
from benchmarks.stand import LONGEST_LOAD_SECONDS, PEERS_PYTHON, Stand, server, service, stand

PLOT = FOLDER / "plot.py"
REPETITIONS = 3
ROWS = (100_000, 1_000_000, 5_000_000, 20_000_000)
WORKERS = (1, 2, 4)
YEARS = (1, 3, 10)
LOANS_FILES, DAYS_A_FILE = 400, 10
MONTHS, ROWS_A_SMALL_MONTH = 120, 10_000
FIRST_DAY = date(1990, 1, 1)
LOOK_SECONDS = 0.01

Point = dict[str, float]
"""One place on the x axis, and the medians there."""


def measure(_timer: Timer, quick: bool) -> Iterator[Measured]:
    """Measures and draws all three; a full-sized run keeps both. None of it is a row."""
    part, timer = (10, Timer(1)) if quick else (1, Timer(REPETITIONS))
    # A tenth of ten years would take most of the quick run.
    rows_a_month = ROWS_A_MONTH // 50 if quick else ROWS_A_MONTH
    found = {
        "machine": machine(),
        "day": f"{datetime.now(UTC):%Y-%m-%d}",
        "rates": list(rates(timer, [rows // part for rows in ROWS])),
        "loads": loads(timer, LOANS_FILES // part, MONTHS // part),
        "rows_a_month": rows_a_month,
        "refreshes": list(refreshes(timer, rows_a_month)),
    }
    print(json.dumps(found, indent=1))
    with TemporaryDirectory(prefix="sluice-bench-") as folder:
        keep(found, Path(folder) if quick else FOLDER)
    yield from ()


def keep(found: dict[str, object], folder: Path) -> None:
    """Writes what was found, and draws it."""
    numbers, picture = folder / "growth.json", folder / "growth.png"
    numbers.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    subprocess.run([PEERS_PYTHON, PLOT, numbers, picture], check=True)


def rates(timer: Timer, sizes: Sequence[int]) -> Iterator[Point]:
    """Gives the rows a second of a fresh month, by its size, and those of psql's copy."""
    with stand(ON_SUCCESS="delete") as ready:
        for rows in sizes:
            path = write_month(month_frame(2023, 1, rows), ready.folder / "entity_2023_01.csv")
            copy = f"\\copy public.entity_peer from '{path}' with (format csv, header)"
            ours, peer = [], []
            for _ in timer.repetitions(f"{rows:,} rows"):
                ready.execute(PEER_TABLE, "CHECKPOINT")
                peer.append(ready.psql(copy))
                ready.execute("DROP TABLE public.entity_peer", *FORGET_MONTH, "CHECKPOINT")
                ours.append(ready.drop(path))
            ready.execute(*FORGET_MONTH)
            yield {"rows": rows, "sluice": rows / median(ours), "psql": rows / median(peer)}


def loads(timer: Timer, loans_files: int, months: int) -> list[Point]:
    """Gives the loads a second, by workers: of loans, a feed whose files take turns, and of months.

    All files are there at once; the service is a fresh one each time.
    """
    loans: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    entity: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    with server() as ready:
        for number in timer.repetitions("small files"):
            for workers in WORKERS:
                with service(ready.folder, ready.url, WORKERS=str(workers), ON_SUCCESS="delete"):
                    files = [loans_file(number, index) for index in range(loans_files)]
                    loans[workers].append(loans_files / seconds_to_load(ready, files))
                    files = [small_month(index) for index in range(months)]
                    entity[workers].append(months / seconds_to_load(ready, files))
                ready.execute(*forget_months(months))
    return [
        {"workers": each, "loans": median(loans[each]), "months": median(entity[each])}
        for each in WORKERS
    ]


def loans_file(number: int, index: int) -> tuple[str, bytes]:
    """Gives the name and content of a small loans file, another one in each repetition."""
    days = [FIRST_DAY + timedelta(index * DAYS_A_FILE + each) for each in range(DAYS_A_FILE)]
    lines = [f"{day},{1000 + number},{index},{day.day}\n" for day in days]
    header = "repayment_date,loans,defaults,liquidations\n"
    return f"loans_{number}_{index}.csv", "".join([header, *lines]).encode()


def small_month(index: int) -> tuple[str, bytes]:
    """Gives the name and content of a small month, counted from the first one."""
    year, month = FIRST_DAY.year + index // 12, index % 12 + 1
    frame = month_frame(year, month, ROWS_A_SMALL_MONTH)
    text = frame.write_csv(datetime_format="%Y-%m-%d %H:%M:%S")
    return f"entity_{year}_{month:02}.csv", text.encode()


def forget_months(months: int) -> list[str]:
    """Gives the statements after which all small months are fresh again."""
    names = [
        f"entity_{FIRST_DAY.year + index // 12}_{index % 12 + 1:02}" for index in range(months)
    ]
    drops = [f"DROP TABLE IF EXISTS warehouse.{name}" for name in names]
    return [*drops, "DELETE FROM ops.load", "DELETE FROM ops.touched_day", "CHECKPOINT"]


def seconds_to_load(stand: Stand, files: Sequence[tuple[str, bytes]]) -> float:
    """Drops all files at once; gives the seconds until the last one is in the ledger."""
    for name, content in files:
        (stand.imports / f".{name}").write_bytes(content)
    return asyncio.run(_seconds_to_load(stand, [name for name, _ in files]))


async def _seconds_to_load(stand: Stand, names: Sequence[str]) -> float:
    connection = await asyncpg.connect(stand.url)
    newest = await connection.fetchval("SELECT coalesce(max(load_id), 0) FROM ops.load")
    loaded = await connection.prepare(
        "SELECT count(*) FROM ops.load WHERE load_id > $1 AND status = 'loaded'"
    )
    began = perf_counter()
    for name in names:
        os.rename(stand.imports / f".{name}", stand.imports / name)  # noqa: PTH104 - a system call
    while await loaded.fetchval(newest) < len(names):
        if perf_counter() - began > LONGEST_LOAD_SECONDS:
            raise RuntimeError(f"{len(names)} files were not loaded in time")
        await asyncio.sleep(LOOK_SECONDS)
    seconds = perf_counter() - began
    await connection.close()
    return seconds


def refreshes(timer: Timer, rows: int) -> Iterator[Point]:
    """Gives the seconds of a refresh after one new day, by the years there are, and the view's."""
    with stand(ON_SUCCESS="delete") as ready:
        filled = 0
        for years in YEARS:
            # The last December comes day by day.
            fill(ready, range(filled, years * 12 - 1), rows)
            runs = after_new_days(ready, timer, years, rows)
            filled = years * 12
            yield {
                "years": years,
                "sluice": median(runs.own),
                "command": median(runs.command),
                "view": median(runs.view),
            }
