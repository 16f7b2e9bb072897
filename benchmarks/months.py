"""Rows 1 to 3: a fresh month, the same month corrected, the same bytes again."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.files import corrected, month_frame, write_month
from benchmarks.results import Measured, Timer, at_most, faster
from benchmarks.stand import Stand, stand

ROWS = 5_000_000

PEER_TABLE = """
CREATE TABLE public.entity_peer (
    entity_id bigint NOT NULL,
    created_at timestamp NOT NULL,
    value bigint NOT NULL,
    PRIMARY KEY (created_at, entity_id)
)
"""
FORGET_MONTH = (
    "DROP TABLE IF EXISTS warehouse.entity_2023_01",
    "DELETE FROM ops.load",
    "DELETE FROM ops.touched_day",
)


def measure(timer: Timer, quick: bool) -> Iterator[Measured]:
    """Measures a month through the running service, and psql's copy of it."""
    with stand() as ready:
        yield from compare(ready, timer, ROWS // 10 if quick else ROWS)


def compare(stand: Stand, timer: Timer, rows: int) -> Iterator[Measured]:
    """Drops a month, the same bytes again and then its correction, beside psql's copy."""
    month = month_frame(2023, 1, rows)
    fresh = write_month(month, stand.folder / "entity_2023_01.csv")
    changed = write_month(corrected(month), stand.folder / "entity_2023_01_corrected.csv")
    copy = f"\\copy public.entity_peer from '{fresh}' with (format csv, header)"
    ours, again, resent, peer = [], [], [], []
    for _ in timer.repetitions():
        stand.execute("DROP TABLE IF EXISTS public.entity_peer", PEER_TABLE, "CHECKPOINT")
        peer.append(stand.psql(copy))
        stand.execute("DROP TABLE public.entity_peer", *FORGET_MONTH, "CHECKPOINT")
        ours.append(stand.drop(fresh))
        again.append(stand.drop(fresh))
        stand.execute("CHECKPOINT")
        resent.append(stand.drop(changed))
    psql = f'psql -c "{copy.replace(str(fresh), fresh.name)}"'
    yield faster("1", f"a fresh month of {rows:,} rows", ours, psql, peer, 2.0, floor=1.6)
    yield faster("2", "the month again, 1.1 % different", resent, psql, peer, 1.4)
    yield at_most("3", "the same bytes again", again, "Sluice: row 1", ours, 0.03)
