"""Row 1 beside further peers: what people use instead to bring a month into PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from benchmarks.files import month_frame, write_month
from benchmarks.months import FORGET_MONTH, ROWS
from benchmarks.results import Measured, Timer, faster
from benchmarks.stand import PEERS, PEERS_PYTHON, Stand, stand

# One run of what takes longer than this has to do.
LONGEST_REPEATED_SECONDS = 180
# In a schema of its own, for that is where dlt writes; with the key of the warehouse's table.
FRESH_TABLE = (
    "DROP SCHEMA IF EXISTS peer_staging CASCADE",
    "DROP SCHEMA IF EXISTS peer CASCADE",
    "CREATE SCHEMA peer",
    """
    CREATE TABLE peer.entity_peer (
        entity_id bigint NOT NULL,
        created_at timestamp NOT NULL,
        value bigint NOT NULL,
        PRIMARY KEY (created_at, entity_id)
    )
    """,
    "CHECKPOINT",
)

Run = Callable[[Stand, Path], float]


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to load a month file into an empty table with the warehouse's key.

    run: gives the seconds it needs for the file. seconds: those of its runs so far.
    """

    name: str
    note: str
    target: float | None
    command: str
    run: Run
    seconds: list[float] = field(default_factory=list)


def measure(timer: Timer, quick: bool) -> Iterator[Measured]:
    """Measures a month through the running service, and each peer's load of it."""
    rows = ROWS // 10 if quick else ROWS
    with stand() as ready:
        yield from compare(ready, timer.slow, rows)


def compare(stand: Stand, timer: Timer, rows: int) -> Iterator[Measured]:
    """Drops a fresh month and has every peer load it, in turn; what takes very long, once."""
    month = month_frame(2023, 1, rows)
    path = write_month(month, stand.folder / "entity_2023_01.csv")
    expected = f"{rows} {month['value'].sum()}"
    peers = all_peers()
    ours = []
    for number in timer.repetitions("further peers, run"):
        stand.execute(*FRESH_TABLE, *FORGET_MONTH, "CHECKPOINT")
        ours.append(stand.drop(path))
        for peer in peers:
            if number > 1 and peer.seconds[0] > LONGEST_REPEATED_SECONDS:
                continue
            stand.execute(*FRESH_TABLE)
            peer.seconds.append(peer.run(stand, path))
            require_loaded(stand, peer, expected)
    for peer in peers:
        runs = len(peer.seconds)
        work = f"a fresh month of {rows:,} rows, {runs} run{'s' if runs > 1 else ''}; {peer.note}"
        line = f"1 {peer.name}"
        yield faster(line, work, ours[:runs], peer.command, peer.seconds, peer.target)


def all_peers() -> list[Peer]:
    """Gives the peers that are installed, and says what is not."""
    peers = [
        Peer("dlt", "dlt merge as it is by default", 12, *script("dlt_merge.py")),
        Peer(
            "dlt ADBC",
            "dlt merge through ADBC, its quickest",
            12,
            *script("dlt_merge.py", "parquet"),
        ),
        Peer("pandas", "pandas to_sql", None, *script("pandas_to_sql.py")),
        Peer("polars", "Polars write_database, ADBC", None, *script("polars_adbc.py")),
    ]
    if shutil.which("pgloader"):
        command = "FILE=entity_2023_01.csv URL=... pgloader benchmarks/peers/month.load"
        peers.append(Peer("pgloader", "pgloader", 12, command, run_pgloader))
    else:
        print("  no line for pgloader: it is not installed, see the Makefile")
    return peers


def script(name: str, *words: str) -> tuple[str, Run]:
    """Gives the command of a Python peer, and what runs it; it says its seconds itself.

    Its imports are not counted, though a person would wait for them each time.
    """

    def run(stand: Stand, path: Path) -> float:
        # In the stand's folder: dlt looks for settings of its own where it is started.
        ended = subprocess.run(
            [PEERS_PYTHON, PEERS / name, stand.url, path, *words],
            cwd=stand.folder,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return float(ended.stdout.split()[-1])

    return " ".join(["python", f"benchmarks/peers/{name}", "URL entity_2023_01.csv", *words]), run


def run_pgloader(stand: Stand, path: Path) -> float:
    """Runs pgloader and gives its seconds, its start included."""
    server = urlsplit(stand.url)
    (socket_dir,) = parse_qs(server.query)["host"]
    url = f"postgresql://{server.username}@unix:{socket_dir}:5432{server.path}"
    environment = {**os.environ, "FILE": str(path), "URL": url}
    began = time.perf_counter()
    subprocess.run(
        ["pgloader", "--quiet", "--root-dir", stand.folder / "pgloader", PEERS / "month.load"],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def require_loaded(stand: Stand, peer: Peer, expected: str) -> None:
    """Raises RuntimeError unless the peer's table has the month's rows, by count and sum."""
    found = stand.value("SELECT concat(count(*), ' ', sum(value)) FROM peer.entity_peer")
    if found != expected:
        raise RuntimeError(f"{peer.name} loaded {found} rows and their sum, not {expected}")
