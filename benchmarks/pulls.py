"""Row 12: a year of a production database, pulled and loaded."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

from sqlalchemy import make_url

from app.settings import Settings
from app.sources.simulate import simulate
from benchmarks.months import PEER_TABLE
from benchmarks.results import Measured, Timer
from benchmarks.stand import PROJECT, Stand, environment_of, server

YEAR = 2023
CONTROLLER = 100
FORGET_YEAR = (
    *(f"DROP TABLE IF EXISTS warehouse.entity_{YEAR}_{month:02}" for month in range(1, 13)),
    "DELETE FROM ops.load",
    "DELETE FROM ops.touched_day",
    "CHECKPOINT",
)
COLUMNS = "(entity_id, created_at, value)"


def measure(timer: Timer, quick: bool) -> Iterator[Measured]:
    """Measures `pull --wait` of twelve months, and psql's copy of the same rows out and in."""
    with server() as stand:
        stand.app("migrate")
        stand.execute("CREATE DATABASE production_data")
        source_url = make_url(stand.url).set(database="production_data")
        source = Stand(stand.folder, source_url.render_as_string(hide_password=False))
        fill(source, CONTROLLER // 10 if quick else CONTROLLER)
        yield compare(stand, source, timer)


def fill(source: Stand, controller: int) -> None:
    """Simulates each month of the year."""
    settings = Settings(source_database_url=source.url, random_main_controller=controller)
    for month in range(1, 13):
        asyncio.run(simulate(source.url, settings, YEAR, month))
    source.execute("VACUUM ANALYZE entity")


def compare(stand: Stand, source: Stand, timer: Timer) -> Measured:
    """Brings the year into empty tables, by psql and by us, again and again."""
    path = stand.folder / "entity.csv"
    copy_out = f"\\copy entity {COLUMNS} to '{path}' with (format csv, header)"
    copy_in = f"\\copy public.entity_peer {COLUMNS} from '{path}' with (format csv, header)"
    ours, peer = [], []
    for _ in timer.repetitions():
        stand.execute("DROP TABLE IF EXISTS public.entity_peer", PEER_TABLE, "CHECKPOINT")
        peer.append(source.psql(copy_out) + stand.psql(copy_in))
        stand.execute("DROP TABLE public.entity_peer", *FORGET_YEAR)
        ours.append(pull(stand, source))
    rows = source.value("SELECT count(*) FROM entity")
    require_rows(stand, rows)
    commands = [f'psql -c "{copy.replace(str(path), path.name)}"' for copy in (copy_out, copy_in)]
    return Measured(
        "12",
        f"a year of {rows:,} rows from a production database, `pull --wait`",
        f"{rows / median(ours):,.0f} rows/s",
        f"{rows / median(peer):,.0f} rows/s",
        f"{median(peer) / median(ours):.2f} x",
        f"{min(theirs / own for own, theirs in zip(ours, peer, strict=True)):.2f} x",
        "",
        is_met=True,
        command=" && ".join(commands),
    )


def pull(stand: Stand, source: Stand) -> float:
    """Pulls and loads what differs; gives the seconds, Python's start included."""
    environment = environment_of(stand.folder, stand.url, SOURCE_DATABASE_URL=source.url)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "app", "pull", "--wait"],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def require_rows(stand: Stand, rows: int) -> None:
    """Raises RuntimeError when not all rows have come through."""
    found = stand.value("SELECT count(*) FROM warehouse.entity")
    if found != rows:
        raise RuntimeError(f"{found} rows came through, of {rows}")
