"""Keeps a load's rejects, however many, in bounded memory until they are copied to the ledger."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from app import threads
from app.domain import Reject
from app.many_rejects import ManyRejects
from app.store import staging
from app.store.copy_format import encode_rows
from app.store.spool import Spool, pack
from models.base import OPS

FIRST = 20
# Not packed, rejects take many times the memory of their lines, and thrice that to be encoded.
ENCODED_ROWS = 8_192
COLUMNS = ("load_id", "line_number", "column_name", "reason", "raw")


@dataclass(frozen=True, slots=True)
class EncodedRejects:
    """Rejects as COPY takes them, packed for a spool. copied_bytes: how long they are unpacked."""

    packed: bytes
    copied_bytes: int


NOTHING = EncodedRejects(b"", 0)


class RejectSpool:
    """The rejects of one load, in memory at first and in a temporary file when they are many.

    first: the first of them, for messages. rows_seen: how many rows were read with them.
    most_of_refused: how many of them to keep of a file that is refused; None for all.

    All are spooled, as a load that ends well keeps all, and how it ends is known at the file's
    end: good rows may still come and bring the share of bad ones down. Compressed, as a reject of
    a short line is thirty times as large as the line, and `/tmp` may be memory.
    """

    def __init__(self, load_id: int, most_of_refused: int | None = None) -> None:
        self.count = 0
        self.rows_seen = 0
        self.first: list[Reject] = []
        self._load_id = load_id
        self._most_of_refused = sys.maxsize if most_of_refused is None else most_of_refused
        self._bytes_of_refused = 0
        self._encoded = Spool(is_packed=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._encoded.__exit__(kind, error, trace)

    def clear(self) -> None:
        """Forgets all of them, for the file to be read again from its start."""
        self.count = self.rows_seen = self._bytes_of_refused = 0
        self.first.clear()
        self._encoded.clear()

    def encode(self, rejects: Sequence[Reject]) -> EncodedRejects:
        """Gives rejects as they are kept; changes nothing here, so any thread may call it."""
        if not rejects:
            return NOTHING
        packed, copied_bytes = [], 0
        for rows in ManyRejects.of(rejects).columns.iter_slices(ENCODED_ROWS):
            load_ids = pl.repeat(self._load_id, len(rows), dtype=pl.Int64, eager=True)
            encoded = encode_rows(rows.with_columns(load_ids.alias("load_id")).select(COLUMNS))
            packed.append(pack(encoded))
            copied_bytes += len(encoded)
        return EncodedRejects(b"".join(packed), copied_bytes)

    async def add(self, rejects: Sequence[Reject], encoded: EncodedRejects | None = None) -> None:
        """Takes more rejects, with what `encode` gave for them if it was asked."""
        if not rejects:
            return
        if encoded is None:
            encoded = await threads.run(self.encode, rejects)
        await self._encoded.write(encoded.packed)
        room = self._most_of_refused - self.count
        if 0 < room < len(rejects):
            encoded = await threads.run(self.encode, rejects[:room])
        if room > 0:
            self._bytes_of_refused += encoded.copied_bytes
        self.count += len(rejects)
        self.first.extend(rejects[: FIRST - len(self.first)])

    async def copy_into(self, connection: AsyncConnection) -> None:
        """Copies all rejects into the ledger, inside the connection's transaction."""
        await self._copy(connection, self._encoded.chunks())

    async def copy_of_refused(self, connection: AsyncConnection) -> int:
        """Copies those that are kept of a refused file, its first ones, and gives their number."""
        await self._copy(connection, self._encoded.chunks(self._bytes_of_refused))
        return min(self.count, self._most_of_refused)

    async def _copy(self, connection: AsyncConnection, encoded: AsyncIterator[bytes]) -> None:
        if self.count:
            await staging.copy_rows(connection, "reject", COLUMNS, encoded, schema=OPS)
