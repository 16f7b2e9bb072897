"""Checks a batch against its feed's contract: typed rows that keep every rule, and rejects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from app.domain import Batch, Reject, Route
from app.many_rejects import ManyRejects
from app.parse import WANTED, parse_column
from app.rules import Contract

SHOWN_CHARACTERS = 80
FEW_ROWS = 10_000
WRITTEN_ROWS = 8_192

Flags = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp] | npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Checked:
    """One batch after its check.

    frame: the contract's columns, typed; every row keeps every rule.
    rejects: all other rows of the batch, one reject each, by line number.
    """

    frame: pl.DataFrame
    rejects: Sequence[Reject]


def check(batch: Batch, route: Route, contract: type[Contract]) -> Checked:
    """Splits a batch into the rows that keep the contract and the rejects.

    A row that breaks several rules is one reject: for a field that cannot be read, else for the
    first column in the contract's order, else for the first rule of the row as a whole.
    """
    good, faults = _check_rows(route.pipeline.prepare(batch.frame, route.facts), contract)
    if batch.text_rows is not None:
        text_rows = route.pipeline.prepare(batch.text_rows, route.facts)
        rows, further_faults = _check_rows(text_rows, contract)
        good, faults = _in_line_order(good, rows), [*faults, *further_faults]
    if not faults:
        return Checked(good, batch.rejects)
    rejects = [_with_texts(batch, pl.concat(faults))]
    if batch.rejects:
        rejects.append(ManyRejects.of(batch.rejects).columns)
    columns = pl.concat(rejects)
    return Checked(good, ManyRejects(columns[np.argsort(columns["line_number"].to_numpy())]))


def sound_rows(frame: pl.DataFrame, contract: type[Contract]) -> pl.DataFrame | None:
    """Gives prepared rows with the contract's types; None where any row breaks a rule."""
    good, faults = _check_rows(frame, contract)
    return None if faults else good


def _check_rows(
    frame: pl.DataFrame, contract: type[Contract]
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Splits prepared rows into those that keep the contract and the faults of the others."""
    typed, unreadable = _parse(frame, contract)
    good, broken = _apply_rules(typed, contract)
    return good, [*unreadable, *broken]


def _in_line_order(frame: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    return frame.merge_sorted(rows, "line_number") if len(rows) else frame


def _apply_rules(
    frame: pl.DataFrame, contract: type[Contract]
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Splits typed rows into those that keep every rule and the faults of the others.

    Asks all rows at once about each rule, ten times as fast as dataframely's `filter`. A row is
    refused for the first rule it breaks; those of columns come first.
    """
    rules = _rules(contract)
    # In few rows, what each thread that has to be woken costs is more than it can save.
    verdicts = frame.select(rules) if len(frame) > FEW_ROWS else frame.select_seq(rules)
    faults: list[pl.DataFrame] = []
    is_kept = np.ones(len(frame), np.bool_)
    for verdict in sorted(verdicts, key=lambda verdict: "|" not in verdict.name):
        if verdict.all():
            continue
        keeps_rule = verdict.fill_null(value=True) if verdict.null_count() else verdict
        positions = np.flatnonzero(is_kept & ~keeps_rule.to_numpy())
        is_kept[positions] = False
        if len(positions):
            faults.append(_name_rule(frame, positions, verdict.name, contract))
    return _filter(frame, is_kept) if faults else frame, faults


@lru_cache(maxsize=16)
def _rules(contract: type[Contract]) -> list[pl.Expr]:
    return contract.rules()


def _parse(
    frame: pl.DataFrame, contract: type[Contract]
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Gives the frame with the contract's types, without rows that cannot be read, and why."""
    parsed, faults = {}, []
    is_readable: Flags | None = None
    schema = frame.schema
    for name, column in contract.columns().items():
        if schema[name] == column.dtype or column.dtype == pl.String:
            continue
        values, unreadable = parse_column(frame[name], column.dtype)
        parsed[name] = values
        if unreadable.is_empty():
            continue
        is_readable = np.ones(len(frame), np.bool_) if is_readable is None else is_readable
        positions = unreadable.to_numpy()
        first_faults = positions[is_readable[positions]]
        is_readable[first_faults] = False
        if len(first_faults):
            wanted = WANTED[type(column.dtype)]
            faults.append(_name_values(frame, first_faults, name, f"is not {wanted}"))
    typed = pl.DataFrame([parsed.get(name, frame[name]) for name in contract.column_names()])
    return typed if is_readable is None else _filter(typed, is_readable), faults


# These take columns, not frames: whatever Polars does to a frame wakes a thread, each time, and
# that takes longer than checking a small file.
def _filter(frame: pl.DataFrame, is_kept: Flags) -> pl.DataFrame:
    chosen = pl.Series(is_kept)
    return pl.DataFrame([column.filter(chosen) for column in frame])


def _name_rule(
    frame: pl.DataFrame, positions: Positions, rule: str, contract: type[Contract]
) -> pl.DataFrame:
    """Gives the faults of rows that break the same rule."""
    column_name, _, kind = rule.partition("|")
    if not kind:
        reasons = _repeated(rule.replace("_", " "), len(positions))
        return _faults(frame, positions, None, reasons)
    if kind == "nullability":
        reasons = _repeated("is empty, a value is needed", len(positions))
        return _faults(frame, positions, column_name, reasons)
    bound = getattr(contract.columns()[column_name], kind, None)
    return _name_values(frame, positions, column_name, _breach(kind, bound))


def _name_values(
    frame: pl.DataFrame, positions: Positions, column_name: str, breach: str
) -> pl.DataFrame:
    """Gives the faults of rows that have such values in a column."""
    values = frame[column_name][positions]
    reasons = _texts(values, lambda some: [f"{_shown(value)} {breach}" for value in some])
    return _faults(frame, positions, column_name, reasons)


def _faults(
    frame: pl.DataFrame, positions: Positions, column_name: str | None, reasons: pl.Series
) -> pl.DataFrame:
    """Says why rows are refused; no `column_name` when each as a whole is."""
    return pl.DataFrame(
        {
            "line_number": frame["line_number"][positions],
            "column_name": _repeated(column_name, len(positions)),
            "reason": reasons,
        }
    )


def _repeated(text: str | None, count: int) -> pl.Series:
    return pl.Series([text] * count, dtype=pl.String)


def _texts(values: pl.Series, write: Callable[[Sequence[Any]], list[str]]) -> pl.Series:
    """Writes values as text, some at a time: as objects, they take a multiple of the memory."""
    starts = range(0, len(values), WRITTEN_ROWS)
    parts = (write(values[start : start + WRITTEN_ROWS].to_list()) for start in starts)
    return pl.concat([pl.Series(part, dtype=pl.String) for part in parts])


def _breach(kind: str, bound: object) -> str:
    """Says how a value breaks a column's own rule."""
    return {
        "min": f"is before {bound}" if isinstance(bound, date) else f"is below {bound}",
        "min_exclusive": f"is not {'after' if isinstance(bound, date) else 'above'} {bound}",
        "max": f"is after {bound}" if isinstance(bound, date) else f"is above {bound}",
        "max_exclusive": f"is not {'before' if isinstance(bound, date) else 'below'} {bound}",
        "min_length": f"is shorter than {bound} bytes",
        "max_length": f"is longer than {bound} bytes",
        "is_in": f"is none of {bound}",
    }.get(kind, f"breaks the rule {kind.replace('_', ' ')}")


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…")


def _with_texts(batch: Batch, faults: pl.DataFrame) -> pl.DataFrame:
    """Adds to faults the rows' text as it stands in the file."""
    return faults.hstack([_texts(faults["line_number"], batch.raw_texts).alias("raw")])
