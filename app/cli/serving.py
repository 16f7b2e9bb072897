"""Commands of the service and its database: run, watch, migrate."""

from __future__ import annotations

import typer

from app import tables
from app.cli.screen import screen
from app.commands import serving
from app.session import run_in_session, settings_for

LOG_FILE = "sluice.log"

group = typer.Typer()


@group.command()
def run() -> None:
    """Runs it all on this machine: database, migrations, watcher, refresh and export.

    Without DATABASE_URL the database is an embedded PostgreSQL. Stops with Ctrl-C.
    """
    settings = settings_for(quiet=False, log_file=LOG_FILE)

    def show(overview: serving.Overview) -> None:
        screen.print()
        screen.print(tables.files_table(overview.files))
        for view in overview.views:
            screen.print("", tables.rows_table(view.title, view.columns, view.rows, screen.width))
        screen.print(f"\nConnect with:  {overview.psql_command}", soft_wrap=True, markup=False)
        screen.print(f"Drop files into {settings.imports_dir}/; stop with Ctrl-C.\n")

    run_in_session(settings, lambda session: serving.run_all(session, show), migrated=True)


@group.command()
def watch() -> None:
    """Watches the imports folder and loads every complete file, until told to stop."""
    settings = settings_for(quiet=False, log_file=LOG_FILE)
    run_in_session(settings, serving.watch, migrated=True)


@group.command()
def migrate() -> None:
    """Brings the schema to the newest revision; with DEV=true, drops all tables and rows first."""
    revision = serving.migrate(settings_for())
    print(f"The schema is at revision {revision}.")
