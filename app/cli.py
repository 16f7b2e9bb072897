"""The command line: commands, exit codes, and the only module that prints.

Exit codes: 0 done, 1 data refused, 2 wrong usage or configuration, 3 no database.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app import commands, log, tables
from app.domain import Load, LoadStatus
from app.errors import ConfigError, FileError, RetryableError
from app.folder import waiting_files
from app.samples import drop_samples
from app.session import run_in_session
from app.settings import Settings, load_settings

DONE, REFUSED, MISUSED, UNREACHABLE = 0, 1, 2, 3
LOG_FILE = "sluice.log"

cli = typer.Typer(
    name="app",
    help="Files dropped into imports/ become trustworthy PostgreSQL tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
screen = Console()

Full = Annotated[bool, typer.Option("--full", help="Everything, not only what changed.")]


def main() -> None:
    """Runs a command; an error becomes one clear line and an exit code."""
    # Unwinding on SIGTERM too, so that an embedded server is not left behind.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))
    try:
        cli()
    except FileError as error:
        sys.exit(fail(error, REFUSED))
    except ConfigError as error:
        sys.exit(fail(error, MISUSED))
    except RetryableError as error:
        sys.exit(fail(error, UNREACHABLE))
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(error: Exception, code: int) -> int:
    """Prints the error and gives its exit code back."""
    print(f"Error: {error}", file=sys.stderr)
    return code


def settings_for(*, quiet: bool = True, log_file: str | None = None) -> Settings:
    """Reads the settings and sets up the logs."""
    settings = load_settings()
    log.set_up(settings, quiet=quiet, log_file=log_file)
    return settings


@cli.command()
def run() -> None:
    """Runs it all on this machine: database, migrations, watcher, refresh and export.

    Without DATABASE_URL the database is an embedded PostgreSQL. Stops with Ctrl-C.
    """
    settings = settings_for(quiet=False, log_file=LOG_FILE)

    def show(overview: commands.Overview) -> None:
        screen.print()
        screen.print(tables.files_table(overview.files))
        for title, columns, rows in overview.views:
            screen.print(tables.rows_table(title, columns, rows))
        screen.print(f"\nConnect with:  {overview.psql_command}", soft_wrap=True, markup=False)
        screen.print(f"Drop files into {settings.imports_dir}/; stop with Ctrl-C.\n")

    run_in_session(settings, lambda session: commands.run_all(session, show), migrated=True)


@cli.command()
def watch() -> None:
    """Watches the imports folder and loads every complete file, until told to stop."""
    settings = settings_for(quiet=False, log_file=LOG_FILE)
    run_in_session(settings, commands.watch, migrated=True)


@cli.command()
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
    settings = settings_for()
    request = commands.LoadRequest(tuple(files), pipeline, force)
    loads = run_in_session(
        settings, lambda session: commands.load(session, request, screen), migrated=True
    )
    show_loads(loads)


@cli.command()
def replay(load_id: Annotated[int, typer.Argument(help="The load, as `status` shows it.")]) -> None:
    """Loads the archived or quarantined file of an earlier load again."""
    settings = settings_for()
    again = run_in_session(settings, lambda session: commands.replay_load(session, load_id))
    show_loads([again])


def show_loads(loads: list[Load]) -> None:
    """Prints how loads ended; exits 1 when one was refused."""
    for each in loads:
        screen.print(tables.outcome(each), soft_wrap=True, markup=False, highlight=False)
    if any(each.status not in (LoadStatus.LOADED, LoadStatus.DUPLICATE) for each in loads):
        raise typer.Exit(REFUSED)


@cli.command()
def refresh(*, full: Full = False) -> None:
    """Brings the derived tables up to date; only what changed, unless told otherwise."""
    run_in_session(
        settings_for(quiet=False), lambda session: commands.refresh_tables(session, full=full)
    )


@cli.command()
def export(
    year: Annotated[int | None, typer.Option(help="Only this year.")] = None,
    month: Annotated[int | None, typer.Option(min=1, max=12, help="Only this month.")] = None,
    *,
    full: Full = False,
) -> None:
    """Writes the exports; only files whose numbers changed, unless told otherwise."""
    if month and not year:
        raise ConfigError("--month needs --year: name both, or only the year")
    run_in_session(
        settings_for(quiet=False),
        lambda session: commands.write_exports(session, year=year, month=month, full=full),
    )


@cli.command()
def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False
) -> None:
    """Shows what happened to each file, which ones wait and why, and how fresh the tables are."""
    settings = settings_for()
    waiting = waiting_files(settings)
    if waiting and not as_json:
        screen.print(tables.waiting_table(waiting))
    found = run_in_session(settings, commands.read_status)
    if as_json:
        content = {
            "files": found.files,
            "waiting": commands.waiting_as_json(waiting),
            "derived_tables": found.freshness,
        }
        print(json.dumps(content, default=str, indent=2, ensure_ascii=False))
        return
    screen.print(tables.files_table(found.files))
    screen.print(tables.freshness_table(found.freshness))


@cli.command()
def rejects(
    load_id: Annotated[int, typer.Argument(help="The load, as `status` shows it.")],
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, for a spreadsheet.")] = False,
) -> None:
    """Lists the rows a load rejected: line, column, reason and the row as it stands."""
    writer = csv.writer(sys.stdout)

    def show(line_number: int, column_name: str | None, reason: str, raw: str) -> None:
        if as_csv:
            writer.writerow((line_number, column_name or "", reason, raw))
        else:
            print(f"line {line_number}, {column_name or 'row'}: {reason}\n    {raw}")

    settings = settings_for()
    if as_csv:
        writer.writerow(("line_number", "column_name", "reason", "raw"))
    count = run_in_session(settings, lambda session: commands.list_rejects(session, load_id, show))
    if not count and not as_csv:
        print(f"Load {load_id} has no rejected rows.")


@cli.command()
def sample() -> None:
    """Writes sample files of every feed into the imports folder."""
    for path in drop_samples(settings_for().imports_dir):
        print(path)


@cli.command()
def migrate() -> None:
    """Brings the database's schema to the newest revision, as `alembic upgrade head` does."""
    revision = commands.migrate(settings_for())
    print(f"The schema is at revision {revision}.")
