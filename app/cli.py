"""The command line: commands, exit codes, and the only module that prints.

Exit codes: 0 done, 1 data refused or not done now, 2 wrong usage or configuration, 3 no database.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app import commands, loader, log, tables
from app.domain import Load, LoadStatus, Reject
from app.errors import ConfigError, DatabaseUnreachableError, FileError, RetryableError, SluiceError
from app.folder import Waiting, waiting_files
from app.samples import drop_samples
from app.session import run_in_session
from app.settings import Settings, load_settings

DONE, REFUSED, MISUSED, UNREACHABLE = 0, 1, 2, 3
LOG_FILE = "sluice.log"
# Where nobody sets a width: enough for a line of a table to stay one line for `grep`.
PIPED_COLUMNS = 160


class ReaderGoneError(Exception):
    """Who reads our output, such as `head`, has seen enough."""


class Screen(Console):
    """Where tables and sentences are printed."""

    def on_broken_pipe(self) -> None:
        raise ReaderGoneError


@contextmanager
def reader_may_go() -> Iterator[None]:
    """Says apart a reader that is gone from other trouble with files and connections."""
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGoneError from error


cli = typer.Typer(
    name="app",
    help="Files dropped into imports/ become trustworthy PostgreSQL tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
screen = Screen(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPED_COLUMNS)

Full = Annotated[bool, typer.Option("--full", help="Everything, not only what changed.")]


def main() -> None:
    """Runs a command; an error becomes one clear message and an exit code."""
    # Unwinding on SIGTERM too, so that an embedded server is not left behind.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))
    try:
        cli()
    except ConfigError as error:
        sys.exit(fail(error, MISUSED))
    except DatabaseUnreachableError as error:
        sys.exit(fail(error, UNREACHABLE))
    except (FileError, RetryableError) as error:
        sys.exit(fail(error, REFUSED))
    except ReaderGoneError:
        pass
    finally:
        flush_output()


def flush_output() -> None:
    """Writes out what is still buffered, if anybody is left to read it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
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
        for view in overview.views:
            screen.print("", tables.rows_table(view.title, view.columns, view.rows, screen.width))
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
    # DEV makes the tables anew when a service starts, not between one file and the next.
    settings = settings_for_loading().model_copy(update={"dev": False})
    request = commands.LoadRequest(tuple(files), pipeline, force)
    ends: list[commands.End] = []

    def show(end: commands.End) -> None:
        show_end(end)
        ends.append(end)

    run_in_session(
        settings, lambda session: commands.load(session, request, screen, show), migrated=True
    )
    exit_by(ends)


@cli.command()
def replay(load_id: Annotated[int, typer.Argument(help="The load, as `status` shows it.")]) -> None:
    """Loads the archived or quarantined file of an earlier load again."""
    settings = settings_for_loading()
    again = run_in_session(settings, lambda session: commands.replay_load(session, load_id))
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


def show_end(end: commands.End) -> None:
    """Prints how a file's load ended, or why it never began."""
    if isinstance(end, SluiceError):
        fail(end, REFUSED)
    else:
        screen.print(tables.outcome(end), soft_wrap=True, markup=False, highlight=False)


def exit_by(ends: Sequence[commands.End]) -> None:
    """Exits 1 when a file was refused."""
    accepted = (LoadStatus.LOADED, LoadStatus.DUPLICATE)
    if not all(isinstance(end, Load) and end.status in accepted for end in ends):
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
    if as_json:
        print_status_json(settings, waiting)
        return
    if waiting:
        screen.print(tables.waiting_table(waiting), "")
    found = run_in_session(settings, commands.read_status)
    screen.print(tables.files_table(found.files), "")
    if len(found.files) == commands.SHOWN_FILES:
        screen.print("Older ones: SELECT * FROM ops.file_status ORDER BY load_id DESC\n")
    screen.print(tables.freshness_table(found.freshness))


def print_status_json(settings: Settings, waiting: Sequence[Waiting]) -> None:
    """Prints the status for programs; without a database, the waiting files and the error."""
    content: dict[str, object] = {
        "files": None,
        "waiting": commands.waiting_as_json(waiting),
        "derived_tables": None,
    }
    try:
        found = run_in_session(settings, commands.read_status)
        content |= {"files": found.files, "derived_tables": found.freshness}
    except SluiceError as error:
        content["error"] = str(error)
        raise
    finally:
        with reader_may_go():
            print(json.dumps(content, default=str, indent=2, ensure_ascii=False))


@cli.command()
def rejects(
    load_id: Annotated[int, typer.Argument(help="The load, as `status` shows it.")],
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, for a spreadsheet.")] = False,
) -> None:
    """Lists the rows a load rejected: line, column, reason and the row as it stands."""
    write_row = csv.writer(sys.stdout).writerow
    columns = ("line_number", "column_name", "reason", "raw")

    def begin() -> None:
        if as_csv:
            with reader_may_go():
                write_row(columns)

    def show(reject: Reject) -> None:
        with reader_may_go():
            if as_csv:
                write_row([getattr(reject, column) for column in columns])
            else:
                print(tables.reject_text(reject))

    settings = settings_for()
    count = run_in_session(
        settings, lambda session: commands.list_rejects(session, load_id, begin, show)
    )
    if not count and not as_csv:
        print(f"Load {load_id} has no rejected rows.")


@cli.command()
def sample() -> None:
    """Writes sample files of every feed into the imports folder."""
    for path in drop_samples(settings_for().imports_dir):
        print(path)


@cli.command()
def migrate() -> None:
    """Brings the schema to the newest revision; with DEV=true, drops all tables and rows first."""
    revision = commands.migrate(settings_for())
    print(f"The schema is at revision {revision}.")
