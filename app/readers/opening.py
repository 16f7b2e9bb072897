"""A file's name and first bytes -> the reader for it; the front door of this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, Protocol

import polars as pl

from app.domain import Batch
from app.errors import FileError
from app.readers import kinds, text
from app.readers.delimited import DelimitedReader
from app.readers.jsonl import JsonLinesReader
from app.readers.limits import Limits
from app.readers.parquet import ParquetReader

NO_SETTINGS = Limits()
# Small enough for the caches near the processor, large enough that calls do not count.
BLOCK_BYTES = 2 << 20
TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".jsonl")
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


class Reader(Protocol):
    """An opened file.

    header: the column names as they stand in the file, surrounding blanks stripped; "" if unnamed.
    """

    header: tuple[str, ...]

    def batches(
        self, names: Sequence[str], types: Mapping[str, pl.DataType] = ...
    ) -> Iterator[Batch]:
        """Gives the file's rows from the first on, in file order.

        names: one unique column name per field of the header, in header order.
        types: of columns that may come typed instead of as text, in batches where that is quick.
        Raises FileError where the file turns out to be damaged as a whole.
        """
        ...


def open_reader(
    source: BinaryIO,
    name: str,
    *,
    block_bytes: int = BLOCK_BYTES,
    limits: Limits = NO_SETTINGS,
) -> Reader:
    """Opens a file by the ending of its name and reads its header.

    source: seekable, standing at 0; the caller closes it, after the last batch.
    block_bytes: how much decompressed text is held at once, about.
    Raises FileError if the content is not what the name says, or has no sound header, or is
    more than the limits allow.
    """
    lowered = name.lower()
    if lowered.endswith(".parquet"):
        return ParquetReader(source, limits)
    stem, compression = split_compression(lowered)
    ending = next((ending for ending in TEXT_ENDINGS if stem.endswith(ending)), None)
    if ending is None:
        raise FileError(
            found=f"a file named {name}",
            expected=f"a name ending in {', '.join(TEXT_ENDINGS)} (.gz, .zst) or .parquet",
            remedy="save the data in one of these formats, or correct the ending of the name",
        )
    kinds.check_compression(source, compression)
    opened = text.open_text(source, compression, block_bytes, limits)
    if ending == ".jsonl":
        return JsonLinesReader(opened)
    return DelimitedReader(opened, prefers_tab=ending == ".tsv")


def split_compression(name: str) -> tuple[str, str | None]:
    """The name without `.gz` or `.zst`, and the compression that ending stands for."""
    for ending, compression in COMPRESSIONS.items():
        if name.endswith(ending):
            return name.removesuffix(ending), compression
    return name, None
