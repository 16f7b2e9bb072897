"""Instants at which a test ends the program as `kill -9` would, to see the next start put it right.

`SLUICE_CRASH_AT` names one, such as `load.merged`, or `load.merged:3` for the third time it is
passed; with `list`, each point that is passed is written to standard error. Unset, as it always
is outside of tests, a point costs a look at what was found at the first one.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from app.errors import ConfigError

VARIABLE = "SLUICE_CRASH_AT"
LIST = "list"


class Point(StrEnum):
    """Every point there is; each is named after what was done last before it."""

    # One load
    EXAMINED = "load.examined"
    LANE_TAKEN = "load.lane_taken"
    CLAIMED = "load.claimed"
    ROWS_SENT = "load.rows_sent"
    STAGED = "load.staged"
    MERGED = "load.merged"
    ENDED = "load.ended"
    COMMITTED = "load.committed"
    REFUSED = "load.refused"
    SETTLED = "load.settled"
    FILED = "load.filed"

    # Small files brought in together
    TOGETHER_CLAIMED = "together.claimed"
    TOGETHER_MERGED = "together.merged"
    TOGETHER_ENDED = "together.ended"
    TOGETHER_COMMITTED = "together.committed"
    TOGETHER_MOVED = "together.moved"

    # A month becomes a partition, or takes the place of one, or is changed in place
    MONTH_PROMOTED = "month.promoted"
    MONTH_COMPARED = "month.compared"
    MONTH_WITHDRAWN = "month.withdrawn"
    MONTH_REPLACED = "month.replaced"
    MONTH_CHANGED = "month.changed"
    CHANGES_SENT = "month.changes_sent"
    CHANGES_APPLIED = "month.changes_applied"

    # Rows in a place of their own, and the features that follow them
    APPENDED = "append.appended"
    CORRECTED = "append.corrected"
    FOLLOWED = "append.followed"
    CHUNK_COMPUTED = "backfill.chunk_computed"
    CHUNK_COMMITTED = "backfill.chunk_committed"

    # The file leaves the folder
    NOTE_WRITTEN = "quarantine.note_written"
    NOTED = "quarantine.noted"
    CLAIMING = "archive.claiming"
    TAKEN = "archive.taken"
    PART_COPIED = "archive.part_copied"
    COPIED = "archive.copied"
    COPY_NAMED = "archive.copy_named"
    MOVED = "archive.moved"
    DELETED = "archive.deleted"
    MOVE_ENDED = "archive.move_ended"

    # The next start, and a file loaded again
    PUT_BACK = "recovery.put_back"
    BOOKS_CLOSED = "recovery.books_closed"
    REPLAYED = "replay.loaded"
    NOTE_REMOVED = "replay.note_removed"

    # Derived tables
    NOTES_USED = "refresh.notes_used"
    RECOMPUTED = "refresh.recomputed"
    RECORDED = "refresh.recorded"
    REFRESHED = "refresh.table_committed"

    # Exports
    EXPORT_BEGUN = "export.begun"
    EXPORTS_WRITTEN = "export.files_written"
    EXPORT_NAMED = "export.file_named"
    EXPORT_REMOVED = "export.file_removed"
    EXPORTED = "export.before_mark"
    MARK_WRITTEN = "export.mark_written"
    MARKED = "export.marked"

    # Pull
    MONTH_COPIED = "pull.month_copied"
    MONTH_SYNCED = "pull.month_synced"
    MONTH_LINKED = "pull.month_linked"
    MONTH_NAMED = "pull.month_named"

    # Stream
    GATHERED = "stream.gathered"
    OFFSETS_HELD = "stream.offsets_held"
    ADVANCED = "stream.advanced"
    BATCH_COMMITTED = "stream.batch_committed"


@dataclass(slots=True)
class Crash:
    """The end that the environment asks for; without a point, only a list of those passed."""

    at: Point | None
    passes_left: int

    def reach(self, point: Point) -> None:
        """Does not return at the point asked for."""
        if self.at is None:
            sys.stderr.write(f"{VARIABLE} passes {point}\n")
        elif point is self.at:
            self.passes_left -= 1
            if not self.passes_left:
                os.kill(os.getpid(), signal.SIGKILL)


@cache
def asked_for() -> Crash | None:
    """Gives what the environment asks for.

    Raises ConfigError for a point that does not exist; called at the start for that.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return None
    if given == LIST:
        return Crash(None, 0)
    name, colon, passes = given.partition(":")
    if name not in set(Point) or (colon and not (passes.isdecimal() and int(passes))):
        raise ConfigError(
            f"{VARIABLE}: found {given!r}; expected {LIST!r} or one of these, with :2 for the"
            f" second time it is passed: {', '.join(Point)}"
        )
    return Crash(Point(name), int(passes or 1))


def reach(point: Point) -> None:
    """Ends the program at once, with nothing written out, if this is the point asked for."""
    if crash := asked_for():
        crash.reach(point)
