"""Where tables and sentences are printed: a terminal, or what the output is piped into."""

from __future__ import annotations

import os
import sys

from rich.console import Console

from app.cli.ending import ReaderGoneError

# Where nobody sets a width: enough for a line of a table to stay one line for `grep`.
PIPED_COLUMNS = 160


class Screen(Console):
    """Where tables and sentences are printed."""

    def on_broken_pipe(self) -> None:
        raise ReaderGoneError


screen = Screen(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPED_COLUMNS)
