"""How loads end in the foreground: printed as they come, and the exit code by them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import typer

from app import loader, tables
from app.cli.ending import REFUSED, fail
from app.cli.screen import screen
from app.commands.loading import End
from app.domain import Load, LoadStatus
from app.errors import SluiceError
from app.session import settings_for
from app.settings import Settings


def settings_for_loading() -> Settings:
    """Reads the settings; how a load ends is printed, so only traces are logged."""
    settings = settings_for()
    logging.getLogger(loader.__name__).addFilter(
        lambda record: (
            settings.debug_logs or (isinstance(record.msg, dict) and "exc_info" in record.msg)
        )
    )
    return settings


def show_end(end: End) -> None:
    """Prints how a file's load ended, or why it never began."""
    if isinstance(end, SluiceError):
        fail(end, REFUSED)
    else:
        screen.print(tables.outcome(end), soft_wrap=True, markup=False, highlight=False)


def exit_by(ends: Sequence[End]) -> None:
    """Exits 1 when a file was refused."""
    accepted = (LoadStatus.LOADED, LoadStatus.DUPLICATE)
    if not all(isinstance(end, Load) and end.status in accepted for end in ends):
        raise typer.Exit(REFUSED)
