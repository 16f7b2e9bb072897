"""Commands about the versions of the risk-score features: features list, show, activate, ..."""

from __future__ import annotations

import sys
from datetime import date
from typing import Annotated

import typer

from app.cli import feature_tables
from app.cli.screen import screen
from app.commands import features as commands
from app.session import run_in_session, settings_for

group = typer.Typer()
features = typer.Typer(
    no_args_is_help=True,
    help="Lists the versions of the risk-score features, activates, computes and compares them.",
)
group.add_typer(features, name="features")

Version = Annotated[
    int,
    typer.Argument(metavar="VERSION", help="The version, as `features list` shows it."),
]


def parse_day(text: str) -> date:
    """Reads a day as YYYY-MM-DD."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a date as YYYY-MM-DD") from error


def say(line: str) -> None:
    """Prints a line that is no result."""
    print(line, file=sys.stderr, flush=True)


@features.command("list")
def list_versions() -> None:
    """Lists every version: its features, since when it is active, and how many rows have it."""
    found = run_in_session(settings_for(), commands.read_versions)
    screen.print(feature_tables.versions_table(found))


@features.command()
def show(version: Version) -> None:
    """Shows one version: when it was active, how many rows have it, and its definition in SQL."""
    found, activations = run_in_session(
        settings_for(), lambda session: commands.read_version(session, version)
    )
    screen.print(feature_tables.version_text(found, activations), soft_wrap=True)


@features.command()
def activate(version: Version) -> None:
    """Makes a version the active one: applications loaded from now on get its values.

    Services and streams that run follow with their next load. Rows that are there keep the values
    they have; `features backfill` computes the version for them. From its first activation on a
    version's definition is fixed: a change to it is a new version.
    """
    done = run_in_session(settings_for(), lambda session: commands.activate(session, version, say))
    now = "was active already" if done.was_active else "is active now"
    print(f"Version {version} {now}.{feature_tables.missing_sentence(version, done.rows_missing)}")


@features.command()
def backfill(
    version: Version,
    from_day: Annotated[
        date | None,
        typer.Option(
            "--from",
            parser=parse_day,
            metavar="YYYY-MM-DD",
            help="From the first application of that day or a later one on, in load order.",
        ),
    ] = None,
) -> None:
    """Computes a version for the applications that are there already and have no values of it.

    Loads go on meanwhile, and what they add is computed too. Each chunk of rows is a transaction of
    its own: ended at any moment and started again, it does what is left, and every value is the
    same. With --from the rows before it get no values and yet count: windows reach back over them,
    and the exponential mean is carried over all of them from the very first score, so that a value
    never depends on where a backfill began.
    """
    done = run_in_session(
        settings_for(), lambda session: commands.backfill(session, version, from_day, screen)
    )
    if done is None:
        print(f"Nothing to backfill: there is no application{since(from_day)}.")
        return
    print(
        f"Version {version}: {done.rows_written} of {done.rows} rows computed,"
        f" {done.rows - done.rows_written} had its values already."
        f"{feature_tables.missing_sentence(version, done.rows_missing)}"
    )


def since(from_day: date | None) -> str:
    return f" of {from_day} or later" if from_day else ""


@features.command()
def diff(
    first: Annotated[int, typer.Argument(metavar="V1", help="One version's number.")],
    second: Annotated[int, typer.Argument(metavar="V2", help="The other version's number.")],
) -> None:
    """Compares two versions: rows, largest and mean difference of each feature, first values.

    Largest and mean are of the absolute differences, over the rows that have values of both.
    """
    found = run_in_session(settings_for(), lambda session: commands.compare(session, first, second))
    screen.print(feature_tables.comparison_tables(found))


@features.command()
def rollback() -> None:
    """Goes back to the version that was active before; all values stay where they are."""
    done, rows_missing = run_in_session(
        settings_for(), lambda session: commands.roll_back(session, say)
    )
    print(
        f"Version {done.active} is active again; the values of version {done.withdrawn} stay."
        f"{feature_tables.missing_sentence(done.active, rows_missing)}"
    )
