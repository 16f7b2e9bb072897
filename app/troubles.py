"""What the service waits for with each file that it tries again, and a note of it for `status`.

The note lies in the imports folder while anything is waited for, hidden, one for each service. It
says until when it holds, so that one left by a killed service is soon passed over.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from app.files import printable_name
from app.folder import Waiting
from app.patience import Trouble

NOTES = ".waits"
# Longer than a try takes that ends with the same trouble.
TRY_SECONDS = 60.0
# A service that waits writes its note anew at least each minute or two.
OLD_SECONDS = 600.0


class Troubles:
    """The troubles of all files, by path."""

    def __init__(self, imports_dir: Path) -> None:
        self._note = imports_dir / NOTES / f"{socket.gethostname()}-{os.getpid()}.json"
        self._troubles: dict[Path, Trouble] = {}
        self._reasons: dict[str, tuple[str, float]] = {}
        remove_old_notes(self._note.parent)

    def of(self, path: Path) -> Trouble:
        """Gives the file's trouble, a new one where it has none yet."""
        return self._troubles.setdefault(path, Trouble(tell=partial(self._tell, path)))

    def forget(self, path: Path) -> None:
        """Drops the trouble of a file whose load is over."""
        if self._troubles.pop(path, None):
            self._tell(path, "", 0.0)

    def forget_all_but(self, is_known: Callable[[Path], bool]) -> None:
        """Drops what was kept of files that were taken away since."""
        for path in [each for each in self._troubles if not is_known(each)]:
            self.forget(path)

    def close(self) -> None:
        """Removes the note."""
        self._reasons = {}
        self._write()

    def _tell(self, path: Path, reason: str, seconds: float) -> None:
        name = printable_name(str(path))
        if reason:
            self._reasons[name] = reason, time.time() + seconds + TRY_SECONDS
        elif self._reasons.pop(name, None) is None:
            return
        self._write()

    def _write(self) -> None:
        """Writes the note anew; a folder that takes none has louder trouble."""
        with suppress(OSError):
            if not self._reasons:
                self._note.unlink(missing_ok=True)
                self._note.parent.rmdir()
                return
            self._note.parent.mkdir(exist_ok=True)
            unfinished = self._note.with_suffix(".tmp")
            unfinished.write_text(json.dumps(self._reasons), encoding="utf-8")
            unfinished.replace(self._note)


def remove_old_notes(folder: Path) -> None:
    """Removes what killed services left."""
    with suppress(OSError):
        for note in folder.iterdir():
            if time.time() - note.stat().st_mtime > OLD_SECONDS:
                note.unlink()
        folder.rmdir()


def explained(waiting: Iterable[Waiting], imports_dir: Path) -> list[Waiting]:
    """Gives waiting files with what a running service says that it waits for, where it does."""
    reasons = read_notes(imports_dir)
    named = ((each, reasons.get(printable_name(str(each.path)))) for each in waiting)
    return [replace(each, reason=f"waits: {said}") if said else each for each, said in named]


def read_notes(imports_dir: Path) -> dict[str, str]:
    """Gives what services wait for, by the file's absolute path, as it prints."""
    found: dict[str, str] = {}
    for note in (imports_dir.absolute() / NOTES).glob("*.json"):
        with suppress(OSError, ValueError):
            reasons = json.loads(note.read_text(encoding="utf-8"))
            now = time.time()
            found |= {name: reason for name, (reason, until) in reasons.items() if until > now}
    return found
