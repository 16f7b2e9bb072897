"""Panics of Polars -> errors; a panic is no `Exception`, and would end the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl


@contextmanager
def panics_as_errors() -> Iterator[None]:
    """Raises RuntimeError, a bug of ours like any other, where Polars gives up."""
    try:
        yield
    except pl.exceptions.PanicException as panic:
        raise RuntimeError(f"Polars panicked: {panic}") from panic
