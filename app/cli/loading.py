"""Commands that bring files in: load, replay, sample."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app import loader, tables
from app.cli.ending import REFUSED, fail
from app.cli.screen import screen
from app.commands import loading
from app.domain import Load, LoadStatus
from app.errors import SluiceError
from app.samples import drop_samples
from app.session import run_in_session, settings_for
from app.settings import Settings

group = typer.Typer()


@group.command()
def load(
    files: Annotated[list[Path], typer.Argument(help="Files to load, in this order.")],
    pipeline: Annotated[
        str | None, typer.Option(help="The feed, where a name does not tell it.")
    ] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Even what is loaded already.")] = False,
) -> None:
    """Loads files now, in the foreground; exits 0 only if all are loaded or duplicates.

    A file in the imports folder is archived; any other stays where it is, and a copy is kept.
    """
    # DEV makes the tables anew when a service starts, not between one file and the next.
    settings = settings_for_loading().model_copy(update={"dev": False})
    request = loading.LoadRequest(tuple(files), pipeline, force)
    ends: list[loading.End] = []

    def show(end: loading.End) -> None:
        show_end(end)
        ends.append(end)

    run_in_session(
        settings, lambda session: loading.load(session, request, screen, show), migrated=True
    )
    exit_by(ends)


@group.command()
def replay(load_id: Annotated[int, typer.Argument(help="The load, as `status` shows it.")]) -> None:
    """Loads the archived or quarantined file of an earlier load again."""
    settings = settings_for_loading()
    again = run_in_session(settings, lambda session: loading.replay_load(session, load_id))
    show_end(again)
    exit_by([again])


def settings_for_loading() -> Settings:
    """Reads the settings; how a load ends is printed, so only traces are logged."""
    settings = settings_for()
    logging.getLogger(loader.__name__).addFilter(
        lambda record: (
            settings.debug_logs or (isinstance(record.msg, dict) and "exc_info" in record.msg)
        )
    )
    return settings


def show_end(end: loading.End) -> None:
    """Prints how a file's load ended, or why it never began."""
    if isinstance(end, SluiceError):
        fail(end, REFUSED)
    else:
        screen.print(tables.outcome(end), soft_wrap=True, markup=False, highlight=False)


def exit_by(ends: Sequence[loading.End]) -> None:
    """Exits 1 when a file was refused."""
    accepted = (LoadStatus.LOADED, LoadStatus.DUPLICATE)
    if not all(isinstance(end, Load) and end.status in accepted for end in ends):
        raise typer.Exit(REFUSED)


@group.command()
def sample() -> None:
    """Writes sample files of every feed into the imports folder."""
    for path in drop_samples(settings_for().imports_dir):
        print(path)
