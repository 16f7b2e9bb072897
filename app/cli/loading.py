"""Commands that bring files in: load, replay, sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.outcomes import exit_by, settings_for_loading, show_end
from app.cli.screen import screen
from app.commands import loading
from app.domain import Years
from app.samples import drop_samples
from app.session import run_in_session, settings_for

group = typer.Typer()


@group.command()
def load(
    files: Annotated[list[Path], typer.Argument(help="Files to load, in this order.")],
    pipeline: Annotated[
        str | None, typer.Option(help="The feed, where a name does not tell it.")
    ] = None,
    years: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY[-YYYY]", help="Only these years' rows, for feeds that are loaded so."
        ),
    ] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Even what is loaded already.")] = False,
) -> None:
    """Loads files now, in the foreground; exits 0 only if all are loaded or duplicates.

    A file in the imports folder is archived; any other stays where it is, and a copy is kept.
    """
    # DEV makes the tables anew when a service starts, not between one file and the next.
    settings = settings_for_loading().model_copy(update={"dev": False})
    request = loading.LoadRequest(tuple(files), pipeline, force, parse_years(years))
    ends: list[loading.End] = []

    def show(end: loading.End) -> None:
        show_end(end)
        ends.append(end)

    run_in_session(
        settings, lambda session: loading.load(session, request, screen, show), migrated=True
    )
    exit_by(ends)


def parse_years(text: str | None) -> Years | None:
    """Reads the option, which is wrong usage when it is not years."""
    years = Years.parse(text) if text else None
    if text is not None and not years:
        raise typer.BadParameter(
            f"'{text}' is not years as 2007 or 2008-2009.", param_hint="'--years'"
        )
    return years


@group.command()
def replay(load_id: Annotated[int, typer.Argument(help="The load, as `status` shows it.")]) -> None:
    """Loads the archived or quarantined file of an earlier load again."""
    settings = settings_for_loading()
    again = run_in_session(settings, lambda session: loading.replay_load(session, load_id))
    show_end(again)
    exit_by([again])


@group.command()
def sample() -> None:
    """Writes sample files of every feed into the imports folder."""
    for path in drop_samples(settings_for().imports_dir):
        print(path)
