"""Computes the values of versions, in the transaction of whoever changes rows.

What comes before a range is read from the tables, so values do not depend on how rows were cut
into loads. Callers hold the feed's lane; nothing is committed here.
"""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from app.features import registry
from app.features.definitions import Definition, definition_of
from app.store.appends import Appended
from app.store.scripts import Scripts, bound, quoted
from models.base import WAREHOUSE

# How many rows beyond a change are computed at once, to see whether it still matters.
CHUNK_ROWS = 10_000
# More than any version's windows reach back over.
SETTLED_SCORES = 1_000


@dataclass(frozen=True, slots=True)
class Range:
    """Rows to compute, both ends included; others may lie between that have no values yet."""

    first_id: int
    last_id: int


@dataclass(frozen=True, slots=True)
class Held:
    """Which values a version has of a file's rows, and of rows after them."""

    has_own: bool
    first_later: int | None
    last_later: int | None

    def outdated(self, appended: Appended, *, own_too: bool) -> Range | None:
        """Gives the rows to compute after the file's rows changed, None where there are none."""
        if appended.first_changed is None:
            return None
        first_id = appended.first_changed if self.has_own or own_too else self.first_later
        last_id = self.last_later or appended.last_id
        return Range(first_id, last_id) if first_id and first_id <= last_id else None


async def compute(
    connection: asyncpg.Connection,
    scripts: Scripts,
    definition: Definition,
    first_id: int,
    last_id: int,
) -> int:
    """Computes a version for all rows from one to another, both included.

    Only values that are missing or differ are written. Gives how many.
    """
    of_range = {"first_id": first_id, "last_id": last_id}
    are_there = await connection.fetchval(
        *scripts.call("features/any", version=definition.version, **of_range)
    )
    sql = writing(scripts, definition, "merge" if are_there else "insert")
    outcome = await connection.execute(*bound(sql, of_range))
    return int(outcome.rpartition(" ")[2])


async def compute_while_it_matters(
    connection: asyncpg.Connection,
    scripts: Scripts,
    definition: Definition,
    rows: Range,
    last_changed: int,
) -> None:
    """Computes a version for rows of which none beyond the last changed one has another score.

    Ends with a run of rows beyond that one whose values all stay as they are: windows hold none
    of the changed scores any more, and what is carried on is the same as before.
    """
    if rows.first_id <= last_changed:
        last_id = min(last_changed, rows.last_id)
        await compute(connection, scripts, definition, rows.first_id, last_id)
    after_id = max(last_changed, rows.first_id - 1)
    while after_id < rows.last_id:
        upcoming = await connection.fetchrow(
            *scripts.call("features/upcoming", after_id=after_id, rows=CHUNK_ROWS)
        )
        if upcoming is None or upcoming["first_id"] is None:
            return
        after_id = min(upcoming["last_id"], rows.last_id)
        written = await compute(connection, scripts, definition, upcoming["first_id"], after_id)
        if not written and upcoming["scores"] >= SETTLED_SCORES:
            return


def writing(scripts: Scripts, definition: Definition, step: str) -> str:
    """Gives the statement that computes a version and writes its values into its partition."""
    schema = scripts.schema(WAREHOUSE)
    partition = f"{quoted(schema)}.{quoted(f'risk_score_feature_v{definition.version}')}"
    return scripts.text(
        f"features/{step}",
        definition=scripts.text(definition.script),
        partition=partition,
        version=str(definition.version),
    )


async def follow(connection: asyncpg.Connection, scripts: Scripts, appended: Appended) -> None:
    """Brings the values up to date after a load has written rows.

    New rows get those of the active version. Where other rows come after, or the load corrects
    a file, each version that has values from there on is computed anew, as far as that matters.
    Raises ConfigError when an activated version is another one in this code.
    """
    active = await registry.active(connection, scripts)
    place = {"first_id": appended.first_id, "end_id": appended.end_id}
    found = await connection.fetch(*scripts.call("features/held", **place))
    held = {row["version"]: Held(*tuple(row)[1:]) for row in found}
    if not appended.is_new:
        ends = {"last_id": appended.last_id, "end_id": appended.end_id}
        await connection.execute(*scripts.call("features/remove", **ends))
    is_held = any(each.has_own for each in held.values())
    for version, each in held.items():
        own_too = version == active.version and not is_held
        rows = each.outdated(appended, own_too=own_too)
        if rows and appended.last_changed is not None:
            definition, last_changed = definition_of(version), appended.last_changed
            await compute_while_it_matters(connection, scripts, definition, rows, last_changed)
