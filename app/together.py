"""Brings several small files of one lane in, in one transaction: for when many are dropped at once.

Nothing but a quicker way through the usual steps: what keeps it from working is raised, and each
file is loaded by itself then, which finds out what is done already. Only sound files come here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app import crash_points
from app.crash_points import Point
from app.domain import Load
from app.errors import RetryableError
from app.examine import Examined, require_in_place
from app.filing import file_all_away
from app.loader import Tools, bring_rows, in_lane, report
from app.store import direct, ledger
from app.store.engine import driver_errors
from app.store.rejects import RejectSpool

log = structlog.get_logger()


def sound_files(seen: Iterable[Examined]) -> list[Examined]:
    """Gives the first files, up to one that is not small, not sound, or of another place.

    Nor one with the content of the file before it, of which it is a duplicate.
    """
    sound: list[Examined] = []
    for each in seen:
        before = sound[-1] if sound else None
        is_sound = each.small is not None and not any(batch.rejects for batch in each.small)
        # A file that is appended may be a duplicate of any other, not of the one before it alone.
        is_sound = is_sound and not each.content.is_appended
        if not is_sound or (before and not _follows(each, before)):
            break
        sound.append(each)
    return sound


def _follows(examined: Examined, before: Examined) -> bool:
    content, folder = examined.content, examined.arrival.folder
    is_same_lane = (content.pipeline, content.scope) == (
        before.content.pipeline,
        before.content.scope,
    )
    is_alike = folder == before.arrival.folder and content.sha256 != before.content.sha256
    return is_same_lane and is_alike


async def load_together(seen: Sequence[Examined], tools: Tools) -> list[Load]:
    """Brings sound files in, in their order, all or none; the caller closes them.

    Raises what the steps of a load raise. RetryableError, too, where the ledger knows more of a
    file, so that its load is no ordinary one.
    """
    began = time.monotonic()
    with driver_errors():
        async with in_lane(tools.engine, seen[0]) as connection:
            for each in seen:
                require_in_place(each)
            load_ids = await claim_all(connection, seen)
            crash_points.reach(Point.TOGETHER_CLAIMED)
            async with direct.transaction(connection):
                counts = []
                for load_id, each in zip(load_ids, seen, strict=True):
                    with RejectSpool(load_id) as rejects:
                        counts.append(await bring_rows(connection, load_id, each, rejects, tools))
                    crash_points.reach(Point.TOGETHER_MERGED)
                loads = await ledger.end_all(connection, load_ids, counts)
                crash_points.reach(Point.TOGETHER_ENDED)
            crash_points.reach(Point.TOGETHER_COMMITTED)
            loads = await file_all_away(connection, loads, seen, tools.settings)
    for load, each in zip(loads, seen, strict=True):
        with structlog.contextvars.bound_contextvars(**facts_of(each)):
            report(load, each.seconds + time.monotonic() - began)
    return loads


async def claim_all(connection: AsyncConnection, seen: Sequence[Examined]) -> list[int]:
    """Writes the start of each load and gives their ids."""
    files = [(each.arrival, each.content) for each in seen]
    earlier = await ledger.find_all_earlier(connection, files)
    if earlier[0].same or any(each.unfiled or each.is_running for each in earlier):
        raise RetryableError("A file was loaded before, or a load of it was broken off")
    load_ids = await ledger.claim_all(connection, files)
    for load_id, each in zip(load_ids, seen, strict=True):
        scope, file_bytes = each.content.scope, each.arrival.file_bytes
        with structlog.contextvars.bound_contextvars(**facts_of(each), load_id=load_id):
            log.info("load started", scope=scope, file_bytes=file_bytes)
    return load_ids


def facts_of(examined: Examined) -> dict[str, str | None]:
    """What a log line about the file says of it."""
    return {"file": examined.arrival.name, "pipeline": examined.content.pipeline}
