"""A first look at a complete file: its hash, its header, its pipeline, and a small file's rows."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from app import completeness, files, router, threads
from app.domain import Arrival, Merge, Pipeline, Route
from app.errors import ConfigError, FileChangedError, RetryableError
from app.files import Identity, disk_errors
from app.known_copies import KnownCopies
from app.readers import Limits, Reader, open_reader
from app.reading import SmallFile
from app.small_files import SMALL_FILE_BYTES, read_small_files
from app.store.ledger import Content

CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Examined:
    """A file after a first look.

    fault: why it cannot be loaded, a FileError or else a bug of ours; then there is no reader
    and no route. small: its rows, where they were read ahead. seconds: how long the look took.
    """

    arrival: Arrival
    opened: BinaryIO
    identity: Identity
    content: Content
    reader: Reader | None = None
    route: Route | None = None
    fault: Exception | None = None
    small: SmallFile | None = None
    seconds: float = 0.0

    @property
    def is_small(self) -> bool:
        """Whether its rows can be read ahead of its load."""
        return not self.fault and self.identity.file_bytes <= SMALL_FILE_BYTES

    def require_route(self) -> tuple[Reader, Route]:
        """Gives what is needed to read on; raises the fault where there is one."""
        if self.fault or not self.reader or not self.route:
            raise self.fault or RuntimeError("a file without a fault has a reader and a route")
        return self.reader, self.route


def examine(
    arrival: Arrival,
    opened: BinaryIO,
    pipelines: Sequence[Pipeline],
    copies: KnownCopies,
    limits: Limits,
    stopped: threading.Event,
) -> Examined:
    """Hashes the file, reads its header, and finds its pipeline. Blocks.

    Raises FileChangedError when somebody has opened the file to write to it again, and
    RetryableError when the disk does not give it, or soon after `stopped` is set.
    """
    began = time.monotonic()
    if completeness.has_writer(opened.fileno()):
        raise FileChangedError(f"{arrival.name} is open for writing again")
    identity = files.identity_of(opened.fileno())
    # What was handed over may have been overwritten before it was opened.
    arrival = replace(arrival, file_bytes=identity.file_bytes)
    with disk_errors():
        known = copies.sha256_of(opened.fileno(), identity, stopped)
        sha256 = known or hash_content(cast("io.BufferedReader", opened), stopped)
    opened.seek(0)
    unrouted = Examined(arrival, opened, identity, Content(None, None, sha256))
    try:
        with disk_errors():
            reader = open_reader(opened, arrival.name, limits=limits)
        feed = arrival.folder or arrival.feed
        route = router.route(
            arrival.name, feed, reader.header, arrival.discovered_at, pipelines, arrival.years
        )
    except (RetryableError, ConfigError):
        raise
    except Exception as fault:  # the load's end tells a fault of the file from one of ours
        return replace(unrouted, fault=fault, seconds=time.monotonic() - began)
    return Examined(
        arrival=arrival,
        opened=opened,
        identity=identity,
        content=content_of(route, sha256),
        reader=reader,
        route=route,
        seconds=time.monotonic() - began,
    )


def with_rows(seen: Sequence[Examined]) -> list[Examined]:
    """Reads files that are small and have no fault to their end. Blocks."""
    began = time.monotonic()
    small = [each for each in seen if each.is_small]
    rows = iter(read_small_files([each.require_route() for each in small]))
    read = [replace(each, small=next(rows)) if each.is_small else each for each in seen]
    share = (time.monotonic() - began) / max(len(seen), 1)
    return [replace(each, seconds=each.seconds + share) for each in read]


def content_of(route: Route, sha256: str) -> Content:
    """Says what identifies the content of a file that has a route."""
    is_appended = route.pipeline.merge is Merge.APPEND
    return Content(route.pipeline.name, route.facts.scope, sha256, is_appended)


def hash_content(opened: io.BufferedIOBase | io.RawIOBase, stopped: threading.Event) -> str:
    """Gives the SHA-256 of the bytes up to the end, in hex. Blocks.

    Raises RetryableError soon after `stopped` is set; a large file takes longer than a stop may.
    """
    sha256 = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while filled := opened.readinto(buffer):
        if stopped.is_set():
            raise RetryableError("The file was being hashed when the service stopped")
        sha256.update(buffer[:filled])
    return sha256.hexdigest()


def require_in_place(examined: Examined) -> None:
    """Raises FileChangedError when the name does not stand for the examined file any more.

    While this load waited for its turn, another service may have loaded the file and taken it
    away, or its owner may have removed or replaced it.
    """
    if files.identity_at(examined.arrival.path) != examined.identity:
        raise FileChangedError(f"{examined.arrival.name} was taken away or replaced meanwhile")


def require_unchanged(examined: Examined) -> None:
    """Raises FileChangedError when the file's size or date tell that it was written to since."""
    if not files.identity_of(examined.opened.fileno()).has_same_content(examined.identity):
        raise written_to(examined)


async def require_as_examined(examined: Examined) -> None:
    """Raises FileChangedError when other bytes may have been read than were examined."""
    require_unchanged(examined)
    descriptor = examined.opened.fileno()
    # Some copying writes as much as before and gives the file the same date. A rename tells itself
    # apart from that by the bytes alone.
    if files.identity_of(descriptor) != examined.identity:
        stopped = threading.Event()
        with disk_errors():
            sha256 = await threads.run_until(stopped, files.sha256_of, descriptor, stopped)
        if sha256 != examined.content.sha256:
            raise written_to(examined)


def written_to(examined: Examined) -> FileChangedError:
    return FileChangedError(
        f"{examined.arrival.name} was written to while it was read; its new content is loaded"
        " when it is complete"
    )
