"""What happened before to a file, where the ledger may not say that it was filed away.

A service that is killed between the move and its note, or a server that crashes right after the
note, leaves a load whose file seems to be in imports/ still.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app import files, threads
from app.domain import Arrival
from app.files import Identity, printable_name
from app.settings import Settings
from app.store import ledger
from app.store.ledger import Content, Earlier

log = structlog.get_logger()


async def find_earlier(
    connection: AsyncConnection,
    arrival: Arrival,
    content: Content,
    current: BinaryIO,
    settings: Settings,
    *,
    keep_source: bool,
) -> Earlier:
    """Finds out what happened before to the file and to its place.

    keep_source: the file stays where it is, and copies of it are kept. One of the same name and
    content whose load was never noted as filed, but was, is another file: this is noted now, and
    the current one is loaded or not by what was loaded since.
    """
    while True:
        earlier = await ledger.find_earlier(connection, arrival, content)
        if not earlier.unfiled:
            return earlier
        facts = (earlier.unfiled, content.sha256, current, settings)
        filed = await threads.run(find_earlier_one, *facts, keep_source=keep_source)
        if filed is None:
            return earlier
        await ledger.record_filed(connection, earlier.unfiled, str(filed.absolute()))


def find_kept(load_id: int, sha256: str, settings: Settings) -> Path | None:
    """Finds where the load's file was moved to before the ledger could be told. Blocks.

    A kept file that cannot be read is passed over: it must not keep the service from its work.
    """
    places: Iterable[Path] = (
        *settings.archive_folder.glob(f"*/*/*/{load_id}_*"),
        *settings.quarantine_folder.glob(f"{load_id}_*"),
    )
    for place in places:
        try:
            with place.open("rb") as kept:
                found = hashlib.file_digest(kept, "sha256").hexdigest()
        except OSError as error:
            log.warning(
                "kept file cannot be read",
                load_id=load_id,
                path=printable_name(str(place)),
                reason=error.strerror,
            )
            continue
        if found == sha256:
            return place
    return None


def find_earlier_one(
    load_id: int, sha256: str, current: BinaryIO, settings: Settings, *, keep_source: bool
) -> Path | None:
    """Finds the load's file where it was moved to, if the current file is another one. Blocks.

    None where the current one may be the very file: one that stays, is on another disk, or has
    other names, is copied, and the copy gets its date.
    """
    path = find_kept(load_id, sha256, settings)
    status, kept = os.fstat(current.fileno()), files.identity_at(path) if path else None
    if kept is None or kept.is_same_file(Identity.of(status)):
        return None
    is_copied = keep_source or kept.device != status.st_dev or status.st_nlink > 1
    return None if is_copied and kept.mtime_ns == status.st_mtime_ns else path
