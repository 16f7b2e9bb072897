"""Keeps a load's rejects, however many, in bounded memory until they are copied to the ledger."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from app import threads
from app.domain import Reject
from app.store import staging
from app.store.copy_format import encode_rows
from app.store.spool import Spool
from models.base import OPS

FIRST = 20
COLUMNS = ("load_id", "line_number", "column_name", "reason", "raw")


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
        self._encoded = Spool(is_compressed=True)

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

    def encode(self, rejects: Sequence[Reject]) -> bytes:
        """Gives rejects as COPY takes them; changes nothing here, so any thread may call it."""
        if not rejects:
            return b""
        frame = pl.DataFrame(
            {
                "load_id": pl.repeat(self._load_id, len(rejects), dtype=pl.Int64, eager=True),
                "line_number": pl.Series([r.line_number for r in rejects], dtype=pl.Int64),
                "column_name": pl.Series([r.column_name for r in rejects], dtype=pl.String),
                "reason": pl.Series([r.reason for r in rejects], dtype=pl.String),
                "raw": pl.Series([r.raw for r in rejects], dtype=pl.String),
            }
        )
        return bytes(encode_rows(frame))

    async def add(self, rejects: Sequence[Reject], encoded: bytes | None = None) -> None:
        """Takes more rejects, with what `encode` gave for them if it was asked."""
        if not rejects:
            return
        if encoded is None:
            encoded = await threads.run(self.encode, rejects)
        await self._encoded.write(encoded)
        room = self._most_of_refused - self.count
        if 0 < room < len(rejects):
            encoded = await threads.run(self.encode, rejects[:room])
        if room > 0:
            self._bytes_of_refused += len(encoded)
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
