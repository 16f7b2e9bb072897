"""Commands that tell what happened: status, rejects."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Annotated

import typer

from app import tables
from app.cli import cells
from app.cli.ending import reader_may_go
from app.cli.screen import screen
from app.commands import asking
from app.connected import run_connected, settings_for
from app.domain import LoadStatus, Reject
from app.errors import SluiceError
from app.folder import Waiting, waiting_files
from app.settings import Settings
from app.troubles import explained

group = typer.Typer()


@group.command()
def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False
) -> None:
    """Shows what happened to each file, which ones wait and why, and how fresh the tables are."""
    settings = settings_for()
    waiting = explained(waiting_files(settings), settings.imports_dir)
    if as_json:
        print_status_json(settings, waiting)
        return
    if waiting:
        screen.print(tables.waiting_table(waiting), "")
    found = read_status(settings)
    screen.print(tables.files_table(found.files), "")
    if len(found.files) == asking.SHOWN_FILES:
        screen.print("Older ones: SELECT * FROM ops.file_status ORDER BY load_id DESC\n")
    screen.print(tables.freshness_table(found.freshness))


def read_status(settings: Settings) -> asking.Status:
    return run_connected(settings, lambda connection: asking.read_status(connection, settings))


def print_status_json(settings: Settings, waiting: Sequence[Waiting]) -> None:
    """Prints the status for programs; without a database, the waiting files and the error."""
    content: dict[str, object] = {
        "files": None,
        "waiting": asking.waiting_as_json(waiting),
        "derived_tables": None,
    }
    try:
        found = read_status(settings)
        content |= {"files": found.files, "derived_tables": found.freshness}
    except SluiceError as error:
        content["error"] = str(error)
        raise
    finally:
        with reader_may_go():
            print(json.dumps(content, default=str, indent=2, ensure_ascii=False))


@group.command()
def rejects(
    load_id: Annotated[int, typer.Argument(help="The load, as `status` shows it.")],
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, for a spreadsheet.")] = False,
) -> None:
    """Lists the rows a load rejected: line, column, reason and the row as it stands."""
    write_row = csv.writer(sys.stdout).writerow
    header: list[str] = []

    def begin(kind: type[Reject]) -> None:
        header.extend(field.name for field in fields(kind))
        with reader_may_go():
            write_row(header)

    def show(reject: Reject) -> None:
        if as_csv and not header:
            begin(type(reject))
        with reader_may_go():
            if as_csv:
                write_row([cells.inert(getattr(reject, name)) for name in header])
            else:
                print(tables.reject_text(reject))

    settings = settings_for()
    listed = run_connected(
        settings, lambda connection: asking.list_rejects(connection, load_id, show)
    )
    if not listed.count and as_csv:
        begin(Reject)
    elif not listed.count:
        print(f"Load {load_id} has no rejected rows.")
    if listed.end.status is LoadStatus.QUARANTINED:
        with reader_may_go():
            sys.stdout.flush()
        print(tables.refusal(load_id, listed.end), file=sys.stderr)
