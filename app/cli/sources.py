"""Commands about the source database: pull, simulate."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

import typer
from rich.text import Text

from app import tables
from app.cli.ending import REFUSED, fail
from app.cli.outcomes import exit_by, settings_for_loading, show_end
from app.cli.screen import screen
from app.commands import pulling
from app.errors import ConfigError, FileError
from app.session import run_in_session, settings_for
from app.sources.comparison import Comparison, Difference, Span
from app.sources.landing import End
from app.sources.postgres import Outcome, PulledMonth

group = typer.Typer()

MONTH = re.compile(r"([12][0-9]{3})-(0[1-9]|1[0-2])")


def parse_month(text: str) -> date:
    """Reads a month as YYYY-MM."""
    found = MONTH.fullmatch(text)
    if not found:
        raise typer.BadParameter(f"{text!r} is not a month as YYYY-MM")
    return date(int(found[1]), int(found[2]), 1)


@group.command()
def pull(
    since: Annotated[
        date | None,
        typer.Option(parser=parse_month, metavar="YYYY-MM", help="From this month on."),
    ] = None,
    month: Annotated[
        date | None,
        typer.Option(parser=parse_month, metavar="YYYY-MM", help="Only this month."),
    ] = None,
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until all is loaded; by itself where nothing watches.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the months that differ.")
    ] = False,
) -> None:
    """Brings the months that differ from the source database into the imports folder.

    The source is only read. Months are compared by row counts and hashes, so changed, deleted and
    renumbered rows are seen too; a month without rows in the source becomes empty.
    """
    if since and month:
        raise ConfigError("--month and --since exclude each other: name one month, or the first")
    settings = settings_for_loading().model_copy(update={"dev": False})
    span = Span.month(month) if month else Span.since(since) if since else Span()
    if dry_run:
        compared = run_in_session(
            settings, lambda session: pulling.compare(session, span), migrated=True
        )
        show_differences(compared)
        exit_for_rows_left_out(compared, [])
        return
    ends: list[End] = []

    def show(end: End) -> None:
        show_end(end)
        ends.append(end)

    request = pulling.PullRequest(span, wait, show_month, show)
    compared, pulled = run_in_session(
        settings, lambda session: pulling.pull(session, request), migrated=True
    )
    if not pulled:
        screen.print(equal(compared))
    exit_for_rows_left_out(compared, pulled)
    exit_by(ends)


@group.command()
def simulate(
    year: Annotated[int, typer.Argument(min=1000, max=2999, help="The year.")],
    month: Annotated[int, typer.Argument(min=1, max=12, help="The month, as a number.")],
) -> None:
    """Fills a month of the source database with random rows; all it held of the month is deleted.

    The same year, month and RANDOM_MAIN_CONTROLLER give the same rows. A source whose rows are not
    simulated is left as it is.
    """
    settings = settings_for()
    done = run_in_session(settings, lambda session: pulling.simulate(session, year, month))
    print(f"{year}-{month:02}: {done.rows_inserted} rows simulated, {done.rows_deleted} deleted.")


def equal(compared: Comparison) -> str:
    """Says that there is nothing to pull."""
    return f"Nothing to pull: the months with rows ({compared.months}) are equal on both sides."


def show_differences(compared: Comparison) -> None:
    """Prints the months that differ as a table."""
    if not compared.differing:
        screen.print(equal(compared))
        return
    table = tables.plain_table()
    table.add_column("month")
    for name in ("rows in the source", "in the warehouse", "difference"):
        table.add_column(name, justify="right")
    for each in compared.differing:
        more = each.source_rows - each.warehouse_rows
        counts = (f"{each.source_rows}", f"{each.warehouse_rows}", f"{more:+}")
        table.add_row(f"{each.month:%Y-%m}", *counts)
    screen.print(Text("Months that differ", style="italic"), table, sep="\n")


def show_month(pulled: PulledMonth) -> None:
    """Prints what came of a month that differs."""
    screen.print(sentence(pulled), soft_wrap=True, markup=False, highlight=False)


def sentence(pulled: PulledMonth) -> str:
    """Says what came of a month that differs."""
    month = f"{pulled.month:%Y-%m}: {counted(pulled.difference)}"
    if pulled.outcome is Outcome.WRITTEN:
        return f"{month}: written as {pulled.path}"
    if pulled.outcome is Outcome.WAITING:
        return f"{month}: the same rows wait already in {pulled.path}"
    return f"{month}: load {pulled.load_id} brought the same rows already"


def counted(difference: Difference) -> str:
    return f"{difference.source_rows} rows in the source, {difference.warehouse_rows} before"


def exit_for_rows_left_out(compared: Comparison, pulled: list[PulledMonth]) -> None:
    """Exits 1 when the source has rows that cannot come through; says which."""
    if compared.unsound_rows:
        fail(
            FileError(
                found=f"{compared.unsound_rows} rows of the source's {compared.place}.entity that"
                " no month file can hold",
                expected="an entity_id, a value and a created_at of the years 1000 to 2999 in each",
                remedy="correct them in the source; all others can be pulled",
            ),
            REFUSED,
        )
    incomplete = [each for each in pulled if each.outcome is Outcome.LEFT_OUT]
    for each in incomplete:
        fail(
            FileError(
                found=f"rows of {each.month:%Y-%m} that repeat the created_at and entity_id of"
                f" another one (load {each.load_id} left them out)",
                expected="each pair once",
                remedy="correct them in the source",
            ),
            REFUSED,
        )
    if compared.unsound_rows or incomplete:
        raise typer.Exit(REFUSED)
