"""Feeds whose files stand beside each other: each has a place, and its rows keep their order.

A row's id is its file's place times 2^32 plus its rank. The place is the first load of the file,
so a corrected file replaces its rows where they are, and no other row is renumbered.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import asyncpg
import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from app import crash_points, threads
from app.crash_points import Point
from app.domain import Appends, LoadCounts, Years
from app.errors import FileError
from app.store import staging
from app.store.copy_format import encode_text
from app.store.ranks import ByDay, ByLine
from app.store.scripts import Scripts
from models.base import WAREHOUSE

PLACE_ROWS = 1 << 32
# Windows over a large file's rows sort them, a correction hashes them.
SORT_MEMORY = "256MB"


def first_id(place: int) -> int:
    """Gives the first id of a place."""
    return place * PLACE_ROWS + 1


def end_id(place: int) -> int:
    """Gives the last id that a place could have."""
    return (place + 1) * PLACE_ROWS - 1


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a file's rows.

    last_id: of the place's rows, one below first_id where it has none. first_changed, last_changed:
    the first and the last row that derived values have to follow, None when nothing did that
    matters to them.
    is_new: whether the place had no rows before.
    """

    place: int
    last_id: int
    first_changed: int | None
    last_changed: int | None
    is_new: bool
    counts: LoadCounts

    @property
    def first_id(self) -> int:
        """The first id of the place."""
        return first_id(self.place)

    @property
    def end_id(self) -> int:
        """The last id that the place could have."""
        return end_id(self.place)


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


async def is_new(
    connection: asyncpg.Connection, scripts: Scripts, pipeline: str, place: int
) -> bool:
    """Whether a place has no rows yet."""
    bounds = {"first_id": first_id(place), "end_id": end_id(place)}
    answer: bool = await connection.fetchval(*scripts.call(f"merge/{pipeline}_is_new", **bounds))
    return answer


async def copy_rows(
    connection: AsyncConnection,
    scripts: Scripts,
    to: Appends,
    load_id: int,
    columns: Sequence[str],
    frames: AsyncGenerator[pl.DataFrame],
    ranks: ByDay | ByLine,
) -> None:
    """Copies a new place's rows straight into the warehouse, inside the caller's transaction.

    columns: those of the frames that the table has. frames: in the order of their lines.
    """

    async def numbered() -> AsyncGenerator[pl.DataFrame]:
        async with aclosing(frames):
            async for frame in frames:
                ids, load = ranks.number(frame).alias(to.key), pl.lit(load_id).alias("load_id")
                yield frame.select(ids, *columns, load)

    async with aclosing(threads.map_ahead(encode_text, numbered())) as encoded:
        await staging.copy_rows(
            connection,
            to.table,
            [to.key, *columns, "load_id"],
            encoded,
            schema=scripts.schema(WAREHOUSE),
            is_text=True,
        )
    crash_points.reach(Point.APPENDED)


def appended(place: int, rows: int) -> Appended:
    """Says what became of a new place's rows."""
    last_id = place * PLACE_ROWS + rows
    first, last = (first_id(place), last_id) if rows else (None, None)
    return Appended(place, last_id, first, last, is_new=True, counts=LoadCounts(inserted=rows))


async def replace(
    connection: asyncpg.Connection,
    scripts: Scripts,
    pipeline: str,
    load_id: int,
    place: int,
    rows_staged: int,
) -> Appended:
    """Brings the staged rows into the place of those of an earlier load, rank by rank.

    Runs `merge/<pipeline>_replace` inside the caller's transaction. Staging is the caller's to
    empty.
    """
    await connection.execute(f"SET LOCAL work_mem = '{SORT_MEMORY}'")
    last_id = place * PLACE_ROWS + rows_staged
    values = {
        "load_id": load_id,
        "first_id": first_id(place),
        "last_id": last_id,
        "end_id": end_id(place),
    }
    [found] = await connection.fetch(*scripts.call(f"merge/{pipeline}_replace", **values))
    crash_points.reach(Point.CORRECTED)
    counts = LoadCounts(
        inserted=found["rows_inserted"],
        updated=found["rows_updated"],
        unchanged=rows_staged - found["rows_inserted"] - found["rows_updated"],
        deleted=found["rows_deleted"],
    )
    first, last = found["first_changed"], found["last_changed"]
    return Appended(place, last_id, first, last, is_new=False, counts=counts)
