"""Commands of what is computed from the loaded rows: refresh, export."""

from __future__ import annotations

from typing import Annotated

import typer

from app.connected import run_connected, settings_for
from app.errors import ConfigError
from app.export import export as write_exports
from app.refresh import refresh as refresh_tables

group = typer.Typer()

Full = Annotated[bool, typer.Option("--full", help="Everything, not only what changed.")]


@group.command()
def refresh(*, full: Full = False) -> None:
    """Brings the derived tables up to date; only what changed, unless told otherwise."""
    settings = settings_for(quiet=False)
    run_connected(settings, lambda connection: refresh_tables(connection, settings, full=full))


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
    run_connected(
        settings,
        lambda connection: write_exports(connection, settings, year=year, month=month, full=full),
    )
