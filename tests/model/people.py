"""What people do to the imports folder, and what they may expect of it afterwards."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tests.acceptance.file_contents import sha256
from tests.acceptance.front_door import LONG_AGO


@dataclass
class Drop:
    """A content that stood complete under a name.

    is_certain: nobody but the service took it away; so it has to be in the ledger.
    number: the order in which files were dropped. is_in_turn: no service saw it come, so that
        those that start later have to go by the time of its last change.
    """

    name: str
    sha256: str
    number: int
    is_certain: bool = True
    is_in_turn: bool = False


@dataclass
class People:
    """They write into one folder, and remember what stood there complete, and when.

    is_watched: whether a service may see what they do.
    """

    folder: Path
    drops: list[Drop] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    writers: dict[str, BinaryIO] = field(default_factory=dict)
    is_watched: bool = False
    _standing: dict[str, Drop] = field(default_factory=dict)
    _number: int = 0

    def drops_of(self) -> dict[str, list[Drop]]:
        """The drops since the last `forget`, by name, in order."""
        named: dict[str, list[Drop]] = defaultdict(list)
        for drop in self.drops:
            named[drop.name].append(drop)
        return named

    def forget(self) -> None:
        """Begins anew, once all that was dropped is accounted for."""
        self.drops.clear()
        self._standing.clear()

    def rename_in(self, name: str, content: bytes) -> None:
        """Writes under a name that is ignored, and renames it."""
        unfinished = self._path(name).with_name(f".{Path(name).name}.part")
        unfinished.write_bytes(content)
        self._wait_for_the_clock()
        self._take_back(name)
        unfinished.rename(self._path(name))
        self._stands(name, content)

    def overwrite(self, name: str, content: bytes) -> None:
        """Writes under the final name, over what may be there."""
        self._wait_for_the_clock()
        self._take_back(name)
        with self._path(name).open("wb") as file:
            file.write(content)
        self._stands(name, content)

    def copy(self, name: str, content: bytes, *, is_dated_late: bool) -> None:
        """Writes under the final name and gives it the source's old date, as copying tools do.

        is_dated_late: by its name, after it was closed; else while it is open, as `docker cp`.
        """
        self._wait_for_the_clock()
        self._take_back(name)
        with self._path(name).open("wb") as file:
            file.write(content)
            file.flush()
            if not is_dated_late:
                os.utime(file.fileno(), (LONG_AGO, LONG_AGO))
        if is_dated_late:
            self._stands(name, content).is_certain = False
            with suppress(FileNotFoundError):
                os.utime(self._path(name), (LONG_AGO, LONG_AGO))
        self._stands(name, content)

    def append(self, name: str, pieces: Sequence[bytes]) -> None:
        """Writes a file piece by piece, opening it anew for each."""
        for piece in pieces:
            self._wait_for_the_clock()
            self._take_back(name)
            with self._path(name).open("a+b") as file:
                file.write(piece)
                file.flush()
                file.seek(0)
                whole = file.read()
            self._stands(name, whole)

    def begin(self, name: str, content: bytes) -> None:
        """Writes a first part, and keeps the file open."""
        self._take_back(name)
        file = self._path(name).open("w+b", buffering=0)
        file.write(content)
        self.writers[name] = file

    def go_on(self, name: str, content: bytes) -> None:
        """Writes a further part, and keeps the file open."""
        self.writers[name].write(content)

    def finish(self, name: str) -> None:
        """Closes a file that was kept open."""
        file = self.writers.pop(name)
        file.seek(0)
        content = file.read()
        file.close()
        self._stands(name, content).is_in_turn = False

    def delete(self, name: str) -> None:
        self._take_back(name)
        self._path(name).unlink(missing_ok=True)

    def rename(self, name: str, other: str) -> None:
        """Gives a file another name, where it has not been taken yet."""
        self._wait_for_the_clock()
        try:
            self._path(name).rename(self._path(other))
        except FileNotFoundError:
            return
        moved = self._take_back(name)
        self._take_back(other)
        assert moved
        self._stands(other, self.contents[moved.sha256])

    def waiting(self) -> set[str]:
        """What stands in the folder under names that are not ignored, open files left out."""
        paths = [*self.folder.glob("[!.]*"), *self.folder.glob("[!.]*/[!.]*")]
        names = {str(path.relative_to(self.folder)) for path in paths if not path.is_dir()}
        return names - self.writers.keys()

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _take_back(self, name: str) -> Drop | None:
        """What stood there may be loaded still, and need not be."""
        drop = self._standing.pop(name, None)
        if drop:
            drop.is_certain = False
        return drop

    def _stands(self, name: str, content: bytes) -> Drop:
        self._take_back(name)
        self._number += 1
        drop = Drop(name, sha256(content), self._number, is_in_turn=not self.is_watched)
        self._standing[name] = drop
        self.drops.append(drop)
        self.contents[drop.sha256] = content
        return drop

    def _wait_for_the_clock(self) -> None:
        """Change times move on in steps of some milliseconds."""
        mark = self.folder.parent / "clock"
        mark.touch()
        before = mark.stat().st_ctime_ns
        while mark.stat().st_ctime_ns <= before:
            mark.touch()
