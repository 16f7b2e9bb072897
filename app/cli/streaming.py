"""Commands about Kafka: produce, stream."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app import tables
from app.cli.screen import screen
from app.commands import streaming
from app.domain import Years
from app.session import run_in_session, settings_for
from app.sources.produce import ProduceRequest

group = typer.Typer()

Topic = Annotated[str, typer.Option(help="The topic.")]


def parse_years(text: str) -> Years:
    """Reads the option, which is wrong usage when it is not years."""
    years = Years.parse(text)
    if years is None:
        raise typer.BadParameter(f"'{text}' is not years as 2007 or 2008-2009.")
    return years


@group.command()
def produce(
    file: Annotated[Path, typer.Argument(help="A file of the feed risk_scores.")],
    topic: Topic = "risk-scores",
    years: Annotated[
        Years | None,
        typer.Option(parser=parse_years, metavar="YYYY[-YYYY]", help="Only these years' rows."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="At most so many messages a second.")
    ] = None,
) -> None:
    """Sends the rows of a risk scores file to a Kafka topic, a message each.

    Rows whose structure is broken are printed and not sent. To send a file again sends all its
    rows again. Exits 0 only when the brokers have acknowledged every message.
    """
    settings = settings_for()
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )
    task = progress.add_task(file.name, total=file.stat().st_size if file.exists() else None)
    request = ProduceRequest(
        path=file,
        topic=topic,
        years=years,
        per_second=rate,
        on_reject=lambda reject: show(tables.reject_text(reject)),
        on_progress=lambda bytes_read: progress.update(task, completed=bytes_read),
    )
    with progress:
        done = streaming.produce(settings, request)
    others = f", {done.other_years} of other years" if years else ""
    show(f"{file.name}: {done.sent} messages sent to {topic}, {done.refused} rows refused{others}")


def show(text: str) -> None:
    """Prints a text as it is."""
    screen.print(text, soft_wrap=True, markup=False, highlight=False)


@group.command()
def stream(topic: Topic = "risk-scores") -> None:
    """Loads the messages of a Kafka topic batch by batch, exactly once, until told to stop.

    Several may run at once: those of one KAFKA_GROUP share the topic's partitions.
    """
    # DEV makes the tables anew when a service starts alone, not for each of several.
    settings = settings_for(quiet=False).model_copy(update={"dev": False})
    run_in_session(settings, lambda session: streaming.stream(session, topic), migrated=True)
