"""Feeds whose files stand beside each other: each has a place, and its rows keep their order.

A row's id is its file's place times 2^32 plus its rank. The place is the first load of the file,
so a corrected file replaces its rows where they are, and no other row is renumbered.
"""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from app import crash_points
from app.crash_points import Point
from app.domain import LoadCounts, Years
from app.errors import FileError
from app.store.scripts import Scripts

PLACE_ROWS = 1 << 32
# Ranking a large file by date sorts its rows, a correction hashes them.
SORT_MEMORY = "256MB"


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a file's rows.

    last_id: of the place's rows, one below first_id where it has none. first_changed: the first
    row that derived values have to follow, None when nothing did that matters to them.
    is_new: whether the place had no rows before.
    """

    place: int
    last_id: int
    first_changed: int | None
    is_new: bool
    counts: LoadCounts

    @property
    def first_id(self) -> int:
        """The first id of the place."""
        return self.place * PLACE_ROWS + 1

    @property
    def end_id(self) -> int:
        """The last id that the place could have."""
        return (self.place + 1) * PLACE_ROWS - 1


async def find_place(connection: asyncpg.Connection, scripts: Scripts, load_id: int) -> int:
    """Gives the place of the file that a load brings: its own id for a file that is new.

    Raises FileError when an earlier load brought some of its years under others.
    """
    earlier = await connection.fetch(*scripts.call("merge/earlier_years", load_id=load_id))
    for each in earlier:
        if each["scope"] != each["own_scope"] and _overlap(each["scope"], each["own_scope"]):
            raise _years_twice(each)
    places = [
        each["load_id"]
        for each in earlier
        if each["scope"] == each["own_scope"] and each["has_same_name"]
    ]
    return min(places, default=load_id)


def _overlap(scope: str | None, other: str | None) -> bool:
    years, others = Years.parse(scope or ""), Years.parse(other or "")
    return not years or not others or years.overlap(others)


def _years_twice(earlier: asyncpg.Record) -> FileError:
    own, there = (
        f"the years {scope}" if scope else "all years"
        for scope in (earlier["own_scope"], earlier["scope"])
    )
    again = f"with --years {earlier['scope']}" if earlier["scope"] else "without --years"
    return FileError(
        found=f"{own} of {earlier['own_name']}, of which load {earlier['load_id']}"
        f" ({earlier['file_name']}) brought {there} already",
        expected="years that were not loaded yet, or the same again as a correction",
        remedy=f"load it {again} to correct those, or name other years",
    )


async def append(
    connection: asyncpg.Connection,
    scripts: Scripts,
    pipeline: str,
    load_id: int,
    place: int,
    rows_staged: int,
    *,
    by_date: bool = True,
) -> Appended:
    """Brings the staged rows into their place, inside the caller's transaction.

    by_date: rank the rows by date and then line, not by line alone. Runs `merge/<pipeline>` for a
    place without rows, else `merge/<pipeline>_replace`. Staging is the caller's to empty.
    """
    await connection.execute(f"SET LOCAL work_mem = '{SORT_MEMORY}'")
    first_id, last_id = place * PLACE_ROWS + 1, place * PLACE_ROWS + rows_staged
    bounds = {"first_id": first_id, "end_id": first_id + PLACE_ROWS - 2}
    values = {"load_id": load_id, "first_id": first_id, "by_date": by_date}
    if await connection.fetchval(*scripts.call(f"merge/{pipeline}_is_new", **bounds)):
        await connection.execute(*scripts.call(f"merge/{pipeline}", **values))
        crash_points.reach(Point.APPENDED)
        changed = first_id if rows_staged else None
        return Appended(
            place, last_id, changed, is_new=True, counts=LoadCounts(inserted=rows_staged)
        )
    values |= {"last_id": last_id, "end_id": bounds["end_id"]}
    [found] = await connection.fetch(*scripts.call(f"merge/{pipeline}_replace", **values))
    crash_points.reach(Point.CORRECTED)
    counts = LoadCounts(
        inserted=found["rows_inserted"],
        updated=found["rows_updated"],
        unchanged=rows_staged - found["rows_inserted"] - found["rows_updated"],
        deleted=found["rows_deleted"],
    )
    return Appended(place, last_id, found["first_changed"], is_new=False, counts=counts)
