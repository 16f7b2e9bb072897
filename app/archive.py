"""Moves files whose load is over out of the imports folder: archived, deleted or quarantined.

Last step of the flow, after the commit. A file that is not the one that was loaded is never
moved. Each step may be the last before a crash: the same call again ends in the same state.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from app import claims, completeness, crash_points, files
from app.claims import LoadedFile, Outcome
from app.crash_points import Point
from app.domain import Reject
from app.errors import RetryableError

NOTE_ENDING = ".error.json"
LONGEST_NAME_BYTES = 255
LONGEST_ENDING_BYTES = 32
CHUNK_BYTES = 1 << 20
NOTED_REJECTS = 20


@dataclass(frozen=True, slots=True)
class Note:
    """What a person needs to know of a quarantined file."""

    pipeline: str | None
    sha256: str | None
    at: datetime
    reason: str
    found: str | None = None
    expected: str | None = None
    what_to_do: str | None = None
    line_number: int | None = None
    rejects: Sequence[Reject] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """Where the content is now; path is None when it was not stored."""

    path: Path | None
    outcome: Outcome


def archive(loaded: LoadedFile, folder: Path, at: datetime) -> Stored:
    """Moves the file to `<folder>/YYYY/MM/DD/<load_id>_<name>`; `at` is in UTC."""
    return store(loaded, choose_target(loaded, folder / f"{at:%Y/%m/%d}"))


def delete(loaded: LoadedFile) -> Outcome:
    """Removes the file instead of archiving it."""
    if loaded.keep_source:
        return Outcome.KEPT
    claim = claims.claim_path(loaded)
    outcome = take(loaded, claim)
    if outcome is Outcome.MOVED:
        claim.unlink(missing_ok=True)
        crash_points.reach(Point.DELETED)
    claims.remove_empty(claim.parent)
    return outcome


def quarantine(loaded: LoadedFile, folder: Path, note: Note) -> Stored:
    """Writes the note to `<load_id>_<name>.error.json`, then moves the file beside it.

    A file that was written to meanwhile stays, and has no note.
    """
    target = choose_target(loaded, folder, reserved_bytes=len(NOTE_ENDING))
    note_path = target.with_name(target.name + NOTE_ENDING)
    write_note(loaded, note_path, note)
    crash_points.reach(Point.NOTED)
    stored = store(loaded, target)
    if not stored.path:
        note_path.unlink(missing_ok=True)
    return stored


def store(loaded: LoadedFile, target: Path) -> Stored:
    """Brings the loaded content to the target, and the source out of the way if it still is it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if loaded.keep_source:
        is_stored = save_content(loaded, target)
        return Stored(target, Outcome.KEPT) if is_stored else Stored(None, Outcome.CHANGED)
    require_room(loaded, target)
    claim = claims.claim_path(loaded)
    outcome = take(loaded, claim)
    is_moved = outcome is Outcome.MOVED and move_claim(claim, loaded, target)
    is_intact = outcome is Outcome.MOVED or claims.holds_loaded_bytes(loaded)
    is_stored = is_moved or (is_intact and save_content(loaded, target))
    if outcome is Outcome.MOVED and is_stored:
        claim.unlink(missing_ok=True)
    elif outcome is Outcome.MOVED:
        claims.put_back(claim, loaded.source)
    claims.remove_empty(claim.parent)
    return Stored(target, outcome) if is_stored else Stored(None, Outcome.CHANGED)


def require_room(loaded: LoadedFile, target: Path) -> None:
    """Raises OSError, with nothing moved, where the target's folder cannot take the file.

    A file that is taken and put back again looks like a new one, which is tried at once.
    """
    folder = target.parent
    if files.identity_at(target):
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    disk, status = os.statvfs(folder), os.fstat(loaded.opened.fileno())
    takes_a_copy = status.st_nlink > 1 or status.st_dev != folder.stat().st_dev
    is_known = disk.f_blocks > 0  # some file systems tell nothing
    if takes_a_copy and is_known and disk.f_bavail * disk.f_frsize < loaded.identity.file_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def take(loaded: LoadedFile, claim: Path) -> Outcome:
    """Claims the source, unless somebody has it open for writing: their rows are still to come.

    Asked only now, as nobody can open the file under its old name any more.
    """
    outcome = claims.claim_source(loaded, claim)
    if outcome is not Outcome.MOVED or not completeness.has_writer(loaded.opened.fileno()):
        return outcome
    claims.put_back(claim, loaded.source)
    return Outcome.CHANGED


def move_claim(claim: Path, loaded: LoadedFile, target: Path) -> bool:
    """Renames the claim to the target; False when that takes a copy.

    So does a file with other names: what is written under one of them would change the archive.
    """
    if holds_content(target, loaded):
        return True
    if os.fstat(loaded.opened.fileno()).st_nlink > 1:
        return False
    try:
        claim.rename(target)
        crash_points.reach(Point.MOVED)
    except FileNotFoundError:  # put back by a service that just started
        return False
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    return True


def save_content(loaded: LoadedFile, target: Path) -> bool:
    """Copies what was loaded, from the open descriptor; False when it was written to since.

    The target appears whole, on disk, or not at all. Raises RetryableError when stopped.
    """
    if holds_content(target, loaded):
        return True
    source = loaded.opened.fileno()
    temporary = target.with_name(f".{loaded.load_id}.part")
    with gone_on_error(temporary), temporary.open("wb") as copy:
        copied = 0
        while sent := os.sendfile(copy.fileno(), source, copied, CHUNK_BYTES):
            copied += sent
            crash_points.reach(Point.PART_COPIED)
            go_on(loaded)
        os.fsync(copy.fileno())
    is_whole = copied == loaded.identity.file_bytes
    if not is_whole or claims.compare(loaded, files.identity_of(source)) is not Outcome.MOVED:
        temporary.unlink()
        return False
    os.utime(temporary, ns=(loaded.identity.mtime_ns, loaded.identity.mtime_ns))
    crash_points.reach(Point.COPIED)
    temporary.rename(target)
    crash_points.reach(Point.COPY_NAMED)
    sync_folder(target.parent)
    return True


@contextmanager
def gone_on_error(temporary: Path) -> Iterator[None]:
    """Leaves nothing of a file that could not be written to its end: its disk may be full."""
    try:
        yield
    except (OSError, RetryableError):
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def holds_content(path: Path, loaded: LoadedFile) -> bool:
    """Whether the path is the loaded file, or another one with the same bytes."""
    current = files.identity_at(path)
    if current is None or current.file_bytes != loaded.identity.file_bytes:
        return False
    if current.is_same_file(loaded.identity):
        return True
    position = 0
    with files.open_file(path) as stored:
        while chunk := stored.read(CHUNK_BYTES):
            if chunk != os.pread(loaded.opened.fileno(), len(chunk), position):
                return False
            position += len(chunk)
            go_on(loaded)
    return True


def go_on(loaded: LoadedFile) -> None:
    """Raises RetryableError when the service stops; a large file takes longer than it may."""
    if loaded.stopped.is_set():
        raise RetryableError(f"{loaded.name} was being copied when the service stopped")


def choose_target(loaded: LoadedFile, folder: Path, reserved_bytes: int = 0) -> Path:
    """The first name that is free, or holds the content already.

    Load ids begin anew with a new database, while the archive stays: nothing is overwritten.
    """
    longest = LONGEST_NAME_BYTES - reserved_bytes
    name = files.printable_name(loaded.name)
    for number in count(1):
        prefix = f"{loaded.load_id}_" if number == 1 else f"{loaded.load_id}_{number}_"
        target = folder / (prefix + shorten(name, longest - len(prefix)))
        if files.identity_at(target) is None or holds_content(target, loaded):
            return target
    raise AssertionError


def shorten(name: str, longest_bytes: int) -> str:
    """The name within that many bytes of UTF-8; what is cut is cut before its ending."""
    if len(name.encode()) <= longest_bytes:
        return name
    endings = Path(name).suffixes
    candidates = ("".join(endings[-2:]), "".join(endings[-1:]), "")
    ending = next(each for each in candidates if len(each.encode()) <= LONGEST_ENDING_BYTES)
    room = longest_bytes - len(ending.encode())
    return name.removesuffix(ending).encode()[:room].decode(errors="ignore") + ending


def write_note(loaded: LoadedFile, path: Path, note: Note) -> None:
    content = {
        "load_id": loaded.load_id,
        "file_name": loaded.name,
        "pipeline": note.pipeline,
        "sha256": note.sha256,
        "at": note.at.isoformat(),
        "reason": note.reason,
        "found": note.found,
        "expected": note.expected,
        "what_to_do": note.what_to_do,
        "line_number": note.line_number,
        "rejects": [asdict(reject) for reject in note.rejects[:NOTED_REJECTS]],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{loaded.load_id}.note")
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    # A lone surrogate becomes its JSON escape.
    with gone_on_error(temporary):
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    crash_points.reach(Point.NOTE_WRITTEN)
    temporary.rename(path)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
