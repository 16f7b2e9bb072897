"""Commands of what is computed from the loaded rows: refresh, export."""

from __future__ import annotations

from typing import Annotated

import typer

from app.errors import ConfigError
from app.export import export as write_exports
from app.refresh import refresh as refresh_tables
from app.session import run_in_session, settings_for

group = typer.Typer()

Full = Annotated[bool, typer.Option("--full", help="Everything, not only what changed.")]


@group.command()
def refresh(*, full: Full = False) -> None:
    """Brings the derived tables up to date; only what changed, unless told otherwise."""
    settings = settings_for(quiet=False)
    run_in_session(
        settings, lambda session: refresh_tables(session.tools.engine, settings, full=full)
    )


@group.command()
def export(
    year: Annotated[int | None, typer.Option(help="Only this year.")] = None,
    month: Annotated[int | None, typer.Option(min=1, max=12, help="Only this month.")] = None,
    *,
    full: Full = False,
) -> None:
    """Writes the exports; only files whose numbers changed, unless told otherwise."""
    if month and not year:
        raise ConfigError("--month needs --year: name both, or only the year")
    settings = settings_for(quiet=False)
    run_in_session(
        settings,
        lambda session: write_exports(
            session.tools.engine, settings, year=year, month=month, full=full
        ),
    )
