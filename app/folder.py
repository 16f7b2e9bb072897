"""The rules of the imports folder: which entries are candidates, which are left alone, who waits.

The watcher follows these rules; `status` asks them from another process.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from app import completeness, files
from app.completeness import Completeness, State
from app.errors import ConfigError
from app.files import Identity
from app.settings import Settings

log = structlog.get_logger()

IGNORED_ENDINGS = (".tmp", ".part", ".partial", ".crdownload", "~")

LOADABLE = (State.COMPLETE, State.SETTLING, State.OPEN_FOR_WRITING)

UNKNOWN = Identity(device=0, inode=0, file_bytes=0, mtime_ns=0, ctime_ns=0)

NOT_A_FILE = {
    stat.S_IFLNK: "a symbolic link is never followed",
    stat.S_IFDIR: "files are read at most one folder deep",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry of the imports folder that should be loaded, or said why not.

    name: printable. folder: the feed folder's name, printable too; None at the top.
    refusal: why the entry is never opened; None for a regular file.
    """

    path: Path
    name: str
    folder: str | None
    identity: Identity
    refusal: str | None
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that is in the imports folder and not loaded yet.

    name: printable, with the feed folder. since: when it was last written, renamed or copied in.
    """

    path: Path
    name: str
    file_bytes: int
    since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class ImportsFolder:
    """The folder files are dropped into.

    path: absolute. archive: never read, should it lie inside without a leading dot.
    """

    path: Path
    archive: Path

    @classmethod
    def of(cls, settings: Settings) -> ImportsFolder:
        return cls(settings.imports_dir.absolute(), settings.archive_folder.absolute())

    def make_again(self) -> None:
        """Makes the folder where somebody deleted it, and says so; raises OSError."""
        if self.path.exists():
            return
        self.path.mkdir(parents=True, exist_ok=True)
        log.warning(
            "imports folder was gone, made again",
            folder=files.printable_name(str(self.path)),
            what_to_do="drop files into the new one, with what was deleted and not loaded yet",
        )

    def candidates(self) -> list[Candidate]:
        """Everything at the top and one folder below, oldest change first, then by name.

        Raises OSError when the folder itself cannot be listed.
        """
        paths = list(self.path.iterdir())
        return in_order(each for path in paths for each in self._at_top(path))

    def candidates_at(self, paths: Iterable[Path]) -> list[Candidate]:
        """The same for some paths only; what is gone or ignored is left out."""
        found: dict[Path, Candidate] = {}
        for path in paths:
            for candidate in self._at(path):
                found[candidate.path] = candidate
        return in_order(found.values())

    def is_of_interest(self, path: Path) -> bool:
        """Whether a path may name a candidate or a feed folder, going by its name alone."""
        if not path.is_relative_to(self.path) or path.is_relative_to(self.archive):
            return False
        parts = path.relative_to(self.path).parts
        return 1 <= len(parts) <= 2 and not any(is_ignored(part) for part in parts)

    def _at(self, path: Path) -> Iterator[Candidate]:
        if not self.is_of_interest(path):
            return
        if path.parent == self.path:
            yield from self._at_top(path)
        elif not path.parent.is_symlink():
            yield from candidate_at(path, files.printable_name(path.parent.name))

    def _at_top(self, path: Path) -> Iterator[Candidate]:
        if self._is_left_alone(path):
            return
        for candidate in candidate_at(path, None):
            if candidate.is_folder:
                yield from self._in_feed_folder(candidate)
            else:
                yield candidate

    def _in_feed_folder(self, folder: Candidate) -> Iterator[Candidate]:
        try:
            paths = list(folder.path.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            reason = f"{State.NOT_READABLE}: {error.strerror}"
            yield Candidate(folder.path, folder.name, None, folder.identity, reason)
            return
        for path in paths:
            if not self._is_left_alone(path):
                yield from candidate_at(path, folder.name)

    def _is_left_alone(self, path: Path) -> bool:
        return is_ignored(path.name) or path == self.archive


def waiting_files(settings: Settings) -> list[Waiting]:
    """The files in the imports folder and why each waits, oldest change first.

    One look is all a command that ends can take, so it says what the service waits for.
    A missing folder holds no files; raises ConfigError when it cannot be listed.
    """
    folder = ImportsFolder.of(settings)
    observer = completeness.Observer(settings.settle_seconds, time.monotonic)
    try:
        candidates = folder.candidates()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(
            f"The imports folder {folder.path} cannot be listed: {error.strerror}. Give the user"
            " who runs this command read access, or set IMPORTS_DIR to another one."
        ) from error
    reasons = [
        (each, each.refusal or waiting_reason(observer.look(each.path), settings.settle_seconds))
        for each in candidates
    ]
    return [
        Waiting(
            path=each.path,
            name=f"{each.folder}/{each.name}" if each.folder else each.name,
            file_bytes=each.identity.file_bytes,
            since=datetime.fromtimestamp(each.identity.ctime_ns / 1e9, UTC),
            reason=reason,
        )
        for each, reason in reasons
        if reason != State.GONE
    ]


def has_loadable_files(settings: Settings) -> bool:
    """Whether the service still has a file to load; entries that it leaves alone do not count.

    A folder that cannot be listed has none.
    """
    observer = completeness.Observer(settings.settle_seconds, time.monotonic)
    try:
        candidates = ImportsFolder.of(settings).candidates()
    except OSError:
        return False
    return any(
        not each.refusal and observer.look(each.path).state in LOADABLE for each in candidates
    )


def waiting_reason(outcome: Completeness, settle_seconds: float) -> str:
    match outcome.state:
        case State.COMPLETE:
            return "complete, waits for the service"
        case State.SETTLING:
            return (
                "cannot tell whether complete; "
                f"the service waits until it is unchanged for {settle_seconds:g} seconds"
            )
        case _:
            return outcome.reason


def is_ignored(name: str) -> bool:
    """Whether a name says that the entry is hidden or not finished."""
    return name.startswith(".") or name.lower().endswith(IGNORED_ENDINGS)


def candidate_at(path: Path, folder: str | None) -> Iterator[Candidate]:
    """One candidate, or none when nothing stands under the path any more."""
    name = files.printable_name(path.name)
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        reason = f"{State.NOT_READABLE}: {error.strerror}"
        yield Candidate(path, name, folder, UNKNOWN, reason)
        return
    kind = stat.S_IFMT(status.st_mode)
    refusal = None if kind == stat.S_IFREG else f"{State.NOT_REGULAR}: {NOT_A_FILE[kind]}"
    yield Candidate(path, name, folder, Identity.of(status), refusal, kind == stat.S_IFDIR)


def in_order(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Oldest change first, so that of two versions the newer one is loaded last.

    Goes by ctime: mtime is whatever the sender says it is.
    """
    return sorted(candidates, key=lambda each: (each.identity.ctime_ns, each.name))
