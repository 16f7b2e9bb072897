"""How much a file may ask of this machine; what asks for more is refused, not tried."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO, Self

from app.errors import FileError
from app.readers.blocks import MAX_RECORD_BYTES
from app.settings import Settings

# Below it a high ratio harms nobody, and small files of equal rows do compress that well.
HARMLESS_BYTES = 64 << 20
UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings of the same names, for one file.

    parquet_bytes: memory that reading a Parquet file may take, beside what Python does.
    """

    line_bytes: int = MAX_RECORD_BYTES
    columns: int = 2_000
    uncompressed_bytes: int = 16 << 30
    compression_ratio: float = 200.0
    parquet_bytes: int = 512 << 20

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            line_bytes=settings.max_line_bytes,
            columns=settings.max_columns,
            uncompressed_bytes=settings.max_uncompressed_bytes,
            compression_ratio=settings.max_compression_ratio,
            parquet_bytes=settings.max_parquet_memory_bytes,
        )

    def content_bytes(self, stored_bytes: int) -> int:
        """How much may come out of a compressed file of this size."""
        by_ratio = max(HARMLESS_BYTES, int(self.compression_ratio * stored_bytes))
        return min(self.uncompressed_bytes, by_ratio)

    def require_columns(self, count: int, line_number: int | None = None) -> None:
        """Raises FileError for a header that is too wide."""
        if count > self.columns:
            raise FileError(
                found=f"a header of {count:,} columns",
                expected=f"at most {self.columns:,} (MAX_COLUMNS)",
                remedy="leave out the columns that no feed has, or raise MAX_COLUMNS, and drop the"
                " file again",
                line_number=line_number,
            )


class Allowance:
    """Counts what comes out of a compressed file."""

    def __init__(self, stored_bytes: int, limits: Limits) -> None:
        self._limits = limits
        self._stored_bytes = stored_bytes
        self._allowed = limits.content_bytes(stored_bytes)
        self._taken = 0

    def take(self, content_bytes: int) -> None:
        """Raises FileError once more has come out than may."""
        self._taken += content_bytes
        if self._taken <= self._allowed:
            return
        limits = self._limits
        raise FileError(
            found=f"more than {shown_bytes(self._allowed)} in a compressed file of"
            f" {shown_bytes(self._stored_bytes)}",
            expected=f"at most {limits.compression_ratio:g} times the file's size"
            f" (MAX_COMPRESSION_RATIO), and at most {shown_bytes(limits.uncompressed_bytes)}"
            " (MAX_UNCOMPRESSED_BYTES)",
            remedy="ask where the file comes from; if it is what it should be, raise the limit and"
            " drop it again",
        )


def stored_bytes(source: BinaryIO) -> int:
    """The size of a file; leaves source at 0."""
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    return size


def shown_bytes(size: int) -> str:
    """Writes a size as people say it, exact where it is a whole number of some unit."""
    for unit, name in UNITS:
        if size >= unit and size % unit == 0:
            return f"{size // unit:,} {name}"
    for unit, name in UNITS:
        if size >= 10 * unit:
            return f"{size / unit:,.0f} {name}"
    return f"{size:,} bytes"
