"""Pull: from the source database into the imports folder, and on into the warehouse if asked.

And simulate, which fills that database for a trial.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.session import Session
from app.sources import postgres
from app.sources import simulate as simulation
from app.sources.comparison import Comparison, Span
from app.sources.database import source_url
from app.sources.landing import End, land
from app.sources.postgres import PulledMonth, Show


@dataclass(frozen=True, slots=True)
class PullRequest:
    """wait: see the files loaded, too. show_month, show_end: told of each as it comes."""

    span: Span
    wait: bool
    show_month: Show
    show_end: Callable[[End], None]


async def compare(session: Session, span: Span) -> Comparison:
    """Finds the months that differ, and changes nothing."""
    address = await source_url(session.tools.settings, session.database)
    return await postgres.find_differences(session.tools, address, span)


async def pull(session: Session, request: PullRequest) -> tuple[Comparison, list[PulledMonth]]:
    """Writes the months that differ into the imports folder."""
    address = await source_url(session.tools.settings, session.database)
    found = await postgres.pull(session.tools, address, request.span, request.show_month)
    if request.wait:
        await land(session.tools, found[1], request.show_end)
    return found


async def simulate(session: Session, year: int, month: int) -> simulation.Simulated:
    """Replaces a month of the source's rows by simulated ones."""
    settings = session.tools.settings
    address = await source_url(settings, session.database)
    return await simulation.simulate(address, settings, year, month)
