"""Reads small files whole, ahead of their loads; several of one feed are checked as one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import polars as pl

from app import contract as contracts
from app.domain import Batch, Merge, Route
from app.last_rows import increasing_keys
from app.readers import Reader
from app.readers.panics import panics_as_errors
from app.reading import (
    CheckedBatch,
    SmallFile,
    check_batch,
    keys_of,
    read_batches,
)
from app.rules import Contract
from app.store.copy_format import encode_parts, encode_rows

# Such a file is read in a few milliseconds, which threads side by side would only make longer.
SMALL_FILE_BYTES = 256 << 10
# More of them may come out of a small file that is compressed.
SMALL_FILE_BATCHES = 2
# Of files that are checked as one; more rows would only take more memory.
MOST_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A small file's rows as they stand: one batch, or none of a file without rows."""

    batches: Sequence[Batch]
    route: Route
    contract: type[Contract]

    @property
    def height(self) -> int:
        """How many rows there are."""
        return sum(batch.frame.height for batch in self.batches)

    def goes_with(self, others: Sequence[Unchecked]) -> bool:
        """Whether they can be checked as one, and are few enough for that to be quicker."""
        rows = self.height + sum(each.height for each in others)
        return self.contract is others[0].contract and rows <= MOST_ROWS

    def prepared(self) -> pl.DataFrame:
        """The only batch's rows, as its feed prepares them."""
        return self.route.pipeline.prepare(self.batches[0].frame, self.route.facts)


def read_small_files(files: Sequence[tuple[Reader, Route]]) -> list[SmallFile | None]:
    """Gives all rows of each file, ready for staging before its load has begun. Blocks.

    None where that is no help, or goes wrong: the load comes upon the same and says so.
    """
    small: list[SmallFile | None] = []
    alike: list[Unchecked] = []
    for reader, route in files:
        file = _read(reader, route)
        if alike and not (file and file.goes_with(alike)):
            small += _check_all(alike)
            alike = []
        if file:
            alike.append(file)
        else:
            small.append(None)
    return [*small, *_check_all(alike)]


def _read(reader: Reader, route: Route) -> Unchecked | None:
    if route.pipeline.merge is not Merge.SCRIPT:
        return None
    with suppress(Exception):
        contract = route.pipeline.contract(route.facts)
        batches = list(islice(read_batches(reader, route, contract), SMALL_FILE_BATCHES))
        if len(batches) < SMALL_FILE_BATCHES:
            return Unchecked(batches, route, contract)
    return None


def _check_all(files: Sequence[Unchecked]) -> Sequence[SmallFile | None]:
    """Checks files of one contract as one or, where that does not work, each by itself."""
    if len(files) > 1:
        with suppress(Exception):
            if sound := _check_as_one(files):
                return sound
    return [_check(each) for each in files]


@panics_as_errors()
def _check_as_one(files: Sequence[Unchecked]) -> list[SmallFile] | None:
    """None where a row is refused. Fails where a file has no rows, or others are typed."""
    batches = [each.batches[0] for each in files]
    frames = [each.prepared() for each in files]
    sound = contracts.sound_rows(pl.concat(frames), files[0].contract)
    if sound is None or any(batch.rejects for batch in batches):
        return None
    heights = [frame.height for frame in frames]
    keys = keys_of(sound, files[0].route.pipeline)
    small: list[SmallFile] = []
    end = 0
    for rows, height, batch in zip(encode_parts(sound, heights), heights, batches, strict=True):
        start, end = end, end + height
        first, last = increasing_keys(None if keys is None else keys[start:end])
        checked = CheckedBatch(
            rows, height, (), None, batch.bytes_read, first_key=first, last_key=last
        )
        small.append([checked])
    return small


def _check(file: Unchecked) -> SmallFile | None:
    contract, columns = file.contract, file.contract.column_names()
    with suppress(Exception):
        return [
            check_batch(batch, file.route, contract, columns, encode_rows, lambda _rejects: None)
            for batch in file.batches
        ]
    return None
