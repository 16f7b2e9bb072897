"""Takes a file whose load is over out of the imports folder, and never another one.

The archive stands on it. A claim is a rename into `.moving/` beside the file; what it holds is
looked at only then, as a newer file may have taken the name at any instant before. Such a one
goes back. Each step may be the last before a crash: `restore_claims` undoes what is half done.
"""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import structlog

from app import crash_points, files
from app.crash_points import Point
from app.files import Identity

log = structlog.get_logger()

CLAIMS = ".moving"
SUPERSEDED = ".superseded"


class Outcome(StrEnum):
    """What became of the source; but for CHANGED, the loaded content is where it belongs."""

    MOVED = "moved"
    KEPT = "source kept"
    GONE = "source was gone"
    REPLACED = "a newer file has its name and stays"
    CHANGED = "written to since it was read, stays"


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A file whose load is over.

    opened: the descriptor it was read from, still open; its position is not used.
    identity, sha256: as they were when reading began. name: printable.
    keep_source: copy only, for files that were loaded from outside the imports folder.
    stopped: once it is set, a copy under way is given up.
    """

    source: Path
    opened: BinaryIO
    identity: Identity
    sha256: str
    name: str
    load_id: int
    keep_source: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)


def claim_source(loaded: LoadedFile, claim: Path) -> Outcome:
    """Takes the source away to the claim's path; MOVED only when it holds what was loaded."""
    if files.identity_at(claim) is None:
        current = files.identity_at(loaded.source)
        outcome = compare(loaded, current)
        if outcome is not Outcome.MOVED:
            return outcome
        if current != loaded.identity and not holds_loaded_bytes(loaded):
            return Outcome.CHANGED
        if not rename_to(claim, loaded.source):
            return Outcome.GONE
        crash_points.reach(Point.TAKEN)
    outcome = compare(loaded, files.identity_at(claim))
    if outcome in (Outcome.REPLACED, Outcome.CHANGED):
        put_back(claim, loaded.source)
    return outcome


def rename_to(claim: Path, source: Path) -> bool:
    """Makes the claim's folder and renames the source into it; False when the source is gone."""
    while True:
        claim.parent.mkdir(parents=True, exist_ok=True)
        crash_points.reach(Point.CLAIMING)
        try:
            source.rename(claim)
        except FileNotFoundError:  # or a service that just started removed the empty folder
            if files.identity_at(source) is None:
                return False
        else:
            return True


def claim_path(loaded: LoadedFile) -> Path:
    """Keeps the source's name whole, so that a claim left by a crash can be put back."""
    return loaded.source.parent / CLAIMS / str(loaded.load_id) / loaded.source.name


def compare(loaded: LoadedFile, current: Identity | None) -> Outcome:
    if current is None:
        return Outcome.GONE
    if current.has_same_content(loaded.identity):
        return Outcome.MOVED
    return Outcome.CHANGED if current.is_same_file(loaded.identity) else Outcome.REPLACED


def holds_loaded_bytes(loaded: LoadedFile) -> bool:
    """Whether the file that was loaded still has its bytes, whatever its dates say. Blocks."""
    return files.sha256_of(loaded.opened.fileno(), loaded.stopped) == loaded.sha256


def put_back(claim: Path, home: Path) -> None:
    """Gives a file its name back; where that is taken, by a newer file, it is set aside.

    What was overwritten by its owner must not be loaded after what it was overwritten with.
    """
    try:
        os.link(claim, home, follow_symlinks=False)
    except OSError:
        current, held = files.identity_at(home), files.identity_at(claim)
        if held is None:
            return
        if current is None:  # no hard links on this file system
            claim.rename(home)
            return
        if not current.is_same_file(held):
            set_aside(claim, home)
            return
    crash_points.reach(Point.PUT_BACK)
    claim.unlink(missing_ok=True)


def release_claim(loaded: LoadedFile) -> None:
    """Puts the file back after a move that failed halfway, for the next attempt to find it."""
    claim = claim_path(loaded)
    put_back(claim, loaded.source)
    remove_empty(claim.parent)


def set_aside(claim: Path, home: Path) -> None:
    aside = home.parent / SUPERSEDED / claim.parent.name / claim.name
    aside.parent.mkdir(parents=True, exist_ok=True)
    claim.rename(aside)
    log.warning("overwritten file set aside", file=files.printable_name(home.name), path=str(aside))


def restore_claims(imports_dir: Path) -> list[Path]:
    """Puts back the files that a crash left halfway out of the folder; returns their names.

    For the start of the service. A move that another service has under way survives it: that
    one saves the content from its descriptor, and the file is found to be a duplicate.
    """
    patterns = (f"{CLAIMS}/*", f"*/{CLAIMS}/*")
    restored = []
    for claim in sorted(each for pattern in patterns for each in imports_dir.glob(f"{pattern}/*")):
        home = claim.parents[2] / claim.name
        put_back(claim, home)
        restored.append(home)
    for folder in (each for pattern in patterns for each in imports_dir.glob(f"{pattern}/")):
        remove_empty(folder)
    return restored


def remove_empty(folder: Path) -> None:
    """Removes a claim's folder, unless something is still in it."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
            raise
