"""Reads one file in a thread and checks its rows in another, each a batch ahead of their use."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar, cast

import polars as pl

from app import contract as contracts
from app import threads
from app.domain import Batch, Pipeline, Reject, Route, Tally
from app.errors import FileError
from app.files import disk_errors
from app.last_rows import Keys, LastRows, increasing_keys
from app.pieces import Cutter
from app.readers import Reader
from app.readers.panics import panics_as_errors
from app.rules import Contract
from app.settings import Settings
from app.store.copy_format import Encoded, encode_rows
from app.store.rejects import EncodedRejects, RejectSpool

T = TypeVar("T")
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class CheckedBatch(Generic[T]):
    """A batch in the form its taker wants, with what has to be known of it afterwards.

    encoded_rejects: None when they are still to be encoded.
    first_key, last_key: of the rows' keys, when these increase from row to row; else None.
    """

    formed: T
    rows_staged: int
    rejects: Sequence[Reject]
    encoded_rejects: EncodedRejects | None
    bytes_read: int
    days: frozenset[date] = frozenset()
    first_key: Any = None
    last_key: Any = None


def read_batches(reader: Reader, route: Route, contract: type[Contract]) -> Iterator[Batch]:
    """Gives the file's batches as they stand. Blocks."""
    columns = {} if route.pipeline.prepares_text else contract.columns()
    types = {name: column.dtype for name, column in columns.items()}
    with disk_errors(), panics_as_errors():
        yield from reader.batches(route.names, types)


@panics_as_errors()
def check_batch(
    batch: Batch,
    route: Route,
    contract: type[Contract],
    columns: Sequence[str],
    form: Callable[[pl.DataFrame], T],
    encode_rejects: Callable[[Sequence[Reject]], EncodedRejects | None],
) -> CheckedBatch[T]:
    """Checks a batch against the contract, forms its good rows and encodes the others. Blocks."""
    checked = contracts.check(batch, route, contract)
    frame = checked.frame[list(columns)]
    first_key, last_key = increasing_keys(keys_of(frame, route.pipeline))
    return CheckedBatch(
        formed=form(frame),
        rows_staged=len(frame),
        rejects=checked.rejects,
        encoded_rejects=encode_rejects(checked.rejects),
        bytes_read=batch.bytes_read,
        days=_days(frame, route.pipeline),
        first_key=first_key,
        last_key=last_key,
    )


def _days(frame: pl.DataFrame, pipeline: Pipeline) -> frozenset[date]:
    if not pipeline.month_key:
        return frozenset()
    return frozenset(frame[pipeline.month_key[0]].dt.date().unique())


def keys_of(frame: pl.DataFrame, pipeline: Pipeline) -> Keys | None:
    """Gives what tells the rows of one file apart, where the feed names it."""
    key = pipeline.month_key[1] if pipeline.month_key else pipeline.key
    return frame[key].to_numpy() if key else None


SmallFile = Sequence[CheckedBatch[Encoded]]


class Reading:
    """One file on its way into staging; `tally` is complete when `rows` has come to its end."""

    def __init__(
        self,
        reader: Reader,
        route: Route,
        rejects: RejectSpool,
        settings: Settings,
        on_progress: Progress,
        small: SmallFile | None = None,
    ) -> None:
        self.contract = route.pipeline.contract(route.facts)
        self.rejects = rejects
        self._reader = reader
        self._route = route
        self._settings = settings
        self._on_progress = on_progress
        self._small = small
        self._start()

    def _start(self) -> None:
        self.rejects.clear()
        self._rows_staged = 0
        self._days: set[date] = set()
        self._last_key: Any = None
        self._keys_increase = True

    @property
    def tally(self) -> Tally:
        """What was read so far."""
        return Tally(
            rows_read=self._rows_staged + self.rejects.count,
            rows_staged=self._rows_staged,
            days=frozenset(self._days),
            keys_differ=self._keys_increase,
        )

    async def rows(
        self, columns: Sequence[str], form: Callable[[pl.DataFrame], T]
    ) -> AsyncGenerator[T]:
        """Gives the good rows, batch by batch, with their columns in this order, in this form.

        Begins at the file's start each time, and forgets what was read before. Raises FileError
        when the file cannot be read on, or when more rows are rejected than the settings allow.
        """
        self._start()
        key = self._route.pipeline.key
        if key is None or self._small is not None:
            rows = self._good(columns, form)
        else:
            rows = self._last(key, columns, form)
        async with aclosing(rows) as formed:
            async for each in formed:
                yield each
        self._refuse_too_large_a_share()

    async def _last(
        self, key: str, columns: Sequence[str], form: Callable[[pl.DataFrame], T]
    ) -> AsyncGenerator[T]:
        """Gives the good rows without those of which a later one will count, as far as may be."""
        last_rows = LastRows(key, form)
        async with aclosing(self._good(columns, lambda rows: rows)) as good:
            async for rows in good:
                if (formed := await threads.run(last_rows.take, rows)) is not None:
                    yield formed
        if (formed := await threads.run(last_rows.rest)) is not None:
            yield formed

    async def _good(
        self, columns: Sequence[str], form: Callable[[pl.DataFrame], T]
    ) -> AsyncGenerator[T]:
        async with aclosing(self._checked(columns, form)) as checked:
            async for batch in checked:
                await self.rejects.add(batch.rejects, batch.encoded_rejects)
                self._note(batch)
                self._refuse_too_many_rows()
                self._on_progress(batch.bytes_read)
                if batch.rows_staged:
                    yield batch.formed

    def _checked(
        self, columns: Sequence[str], form: Callable[[pl.DataFrame], T]
    ) -> AsyncGenerator[CheckedBatch[T]]:
        if self._small is not None and form is encode_rows:
            return threads.at_hand(cast("Sequence[CheckedBatch[T]]", self._small))

        cutter = Cutter()

        def check(batch: Batch) -> CheckedBatch[T]:
            encode_rejects = self.rejects.encode
            checked = check_batch(batch, self._route, self.contract, columns, form, encode_rejects)
            cutter.note(checked.rejects)
            return checked

        batches = cutter.pieces(read_batches(self._reader, self._route, self.contract))
        return threads.map_ahead(check, threads.read_ahead(batches))

    def _note(self, batch: CheckedBatch[T]) -> None:
        self._rows_staged += batch.rows_staged
        self.rejects.rows_seen = self.tally.rows_read
        self._days |= batch.days
        if not batch.rows_staged:
            return
        follows = self._last_key is None or (
            batch.first_key is not None and batch.first_key > self._last_key
        )
        self._keys_increase = bool(self._keys_increase and batch.first_key is not None and follows)
        self._last_key = batch.last_key

    def _refuse_too_many_rows(self) -> None:
        allowed = self._settings.max_rejected_rows
        if allowed is not None and self.rejects.count > allowed:
            raise self._too_many(f"at most {allowed} (MAX_REJECTED_ROWS)")

    def _refuse_too_large_a_share(self) -> None:
        allowed = self._settings.max_rejected_ratio
        if self.rejects.count > allowed * self.tally.rows_read:
            raise self._too_many(f"at most {allowed:.4g} of the rows (MAX_REJECTED_RATIO)")

    def _too_many(self, allowed: str) -> FileError:
        first = self.rejects.first[0]
        column = f", {first.column_name}" if first.column_name else ""
        return FileError(
            found=f"{self.rejects.count} bad rows among the {self.tally.rows_read} read, the first"
            f" in line {first.line_number}{column}: {first.reason}",
            expected=allowed,
            remedy="correct the rows that `rejects` lists, or allow more, and drop the file again",
        )
