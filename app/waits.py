"""Keeps when to look again at each file that is not handed over yet, and warns of the stale ones.

The watcher's memory of incomplete files, and of those whose load is to be tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from app.completeness import Completeness, State
from app.folder import Candidate

log = structlog.get_logger()

FIRST_RECHECK_SECONDS = 0.02
LONGEST_RECHECK_SECONDS = 1.0
# By then somebody who makes a file and gives it its permissions next has done so.
UNREADABLE_SECONDS = 1.0
REMEDIES = {
    State.NOT_READABLE: "let the service's user read it; it loads then",
    State.OPEN_FOR_WRITING: "close it in the program that has it open; `lsof` names that",
    State.SETTLING: "end what changes it again and again",
}


@dataclass(slots=True)
class Wait:
    """One file's wait; instants are the monotonic clock's."""

    first_seen: float
    look_again: float
    delay_seconds: float = FIRST_RECHECK_SECONDS
    is_reported: bool = False


class Waits:
    """Looks often at first, then less and less, down to once a second."""

    def __init__(self, stale_seconds: float, clock: Callable[[], float]) -> None:
        self._stale_seconds = stale_seconds
        self._clock = clock
        self._waits: dict[Path, Wait] = {}

    def due(self) -> set[Path]:
        now = self._clock()
        return {path for path, wait in self._waits.items() if wait.look_again <= now}

    def next_look(self) -> float | None:
        """The clock's time of the next look that is due; None when nothing waits."""
        return min((wait.look_again for wait in self._waits.values()), default=None)

    def __contains__(self, path: Path) -> bool:
        return path in self._waits

    def paths(self) -> set[Path]:
        return set(self._waits)

    def is_early(self, path: Path) -> bool:
        """Whether the file waits and its time has not come."""
        wait = self._waits.get(path)
        return wait is not None and wait.look_again > self._clock()

    def retry(self, path: Path, after_seconds: float) -> None:
        now = self._clock()
        self._waits[path] = Wait(first_seen=now, look_again=now + after_seconds)

    def put_off(self, candidate: Candidate, outcome: Completeness, *, is_hinted: bool) -> None:
        """Sets the next look at an incomplete file; after a hint it comes soon."""
        now = self._clock()
        wait = self._waits.setdefault(candidate.path, Wait(first_seen=now, look_again=now))
        if is_hinted:
            wait.delay_seconds = FIRST_RECHECK_SECONDS
        if outcome.recheck_seconds is None:
            wait.look_again = now + wait.delay_seconds
            wait.delay_seconds = min(wait.delay_seconds * 2, LONGEST_RECHECK_SECONDS)
        else:
            wait.look_again = now + max(outcome.recheck_seconds, FIRST_RECHECK_SECONDS)
        self._report_when_stale(candidate, wait, outcome)

    def drop(self, path: Path) -> None:
        self._waits.pop(path, None)

    def _report_when_stale(self, candidate: Candidate, wait: Wait, outcome: Completeness) -> None:
        """Warns once of a file that waits too long, counting what it waited before the start.

        Whether one that settles is still written to shows only from the first look on.
        """
        waited_seconds, stale_seconds = self._clock() - wait.first_seen, self._stale_seconds
        if outcome.state is State.NOT_READABLE:  # does not pass by itself
            stale_seconds = min(UNREADABLE_SECONDS, stale_seconds)
        elif outcome.state is not State.SETTLING:
            unchanged_seconds = time.time() - candidate.identity.ctime_ns / 1e9
            waited_seconds = max(waited_seconds, unchanged_seconds)
        if wait.is_reported or waited_seconds < stale_seconds:
            return
        wait.is_reported = True
        log.warning(
            "file waits too long",
            file=candidate.name,
            folder=candidate.folder,
            seconds=round(waited_seconds, 1),
            reason=outcome.reason,
            what_to_do=REMEDIES.get(outcome.state),
        )
