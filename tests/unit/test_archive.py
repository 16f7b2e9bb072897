"""What the archive does with the loaded file, and with every file that is not it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from app import archive, claims, files
from app.archive import Note, Stored
from app.claims import LoadedFile, Outcome
from app.domain import Reject
from app.errors import FileChangedError, FileError, RetryableError

AT = datetime(2023, 5, 9, 23, 59, tzinfo=UTC)
CONTENT = b"a,b\n1,2\n"
NOTE = Note(pipeline="loans", sha256="ab12", at=AT, reason="unknown header")
CALLS = ("rename", "link", "unlink", "mkdir", "rmdir", "utime", "fsync", "sendfile")


Act = Callable[[LoadedFile, Path], object]


class CrashError(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.fixture
def imports(tmp_path: Path) -> Path:
    path = tmp_path / "imports"
    path.mkdir()
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def other_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on another file system, or one that answers renames as if it were."""
    shared_memory = Path("/dev/shm")
    if shared_memory.is_dir() and shared_memory.stat().st_dev != tmp_path.stat().st_dev:
        path = Path(tempfile.mkdtemp(dir=shared_memory))
        yield path
        shutil.rmtree(path)
        return
    path = tmp_path / "other disk"
    real = os.rename

    def rename(source: Path, target: Path) -> None:
        if Path(target).is_relative_to(path) != Path(source).is_relative_to(path):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    yield path


@pytest.fixture
def opened() -> Iterator[Callable[..., LoadedFile]]:
    """Opens a file as a load does; closes it after the test."""
    kept = []

    def open_loaded(source: Path, load_id: int = 12, *, keep_source: bool = False) -> LoadedFile:
        file = files.open_file(source)
        kept.append(file)
        sha256 = hashlib.sha256(file.read()).hexdigest()
        identity = files.identity_of(file.fileno())
        return LoadedFile(source, file, identity, sha256, source.name, load_id, keep_source)

    yield open_loaded
    for file in kept:
        file.close()


def drop(path: Path, content: bytes = CONTENT) -> Path:
    """Puts a new file under the name, in place of the one that may have it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(".dropped")
    temporary.write_bytes(content)
    return temporary.rename(path)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below the folder and its content."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def before_call(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[..., object]) -> None:
    """Has something happen right before the first call of an `os` function."""
    real = getattr(os, name)

    def call(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(os, name, real)
        act(*arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, call)


# The undisturbed move


def test_a_loaded_file_moves_to_its_day_under_its_load_id(
    imports: Path, store: Path, opened: Callable[..., LoadedFile]
) -> None:
    loaded = opened(drop(imports / "loans" / "May.csv"))

    assert archive.archive(loaded, store, AT) == Stored(
        store / "2023/05/09/12_May.csv", Outcome.MOVED
    )
    assert tree(store) == {"2023/05/09/12_May.csv": CONTENT}
    assert tree(imports) == {}
    # The file itself, not a copy.
    assert (store / "2023/05/09/12_May.csv").stat().st_ino == loaded.identity.inode


def test_a_move_to_another_disk_leaves_a_whole_copy_and_no_source(
    imports: Path, other_disk: Path, opened: Callable[..., LoadedFile]
) -> None:
    content = os.urandom(3_000_000)
    source = drop(imports / "May.csv", content)
    os.utime(source, (1000, 1000))

    stored = archive.archive(opened(source), other_disk, AT)

    assert stored == Stored(other_disk / "2023/05/09/12_May.csv", Outcome.MOVED)
    assert tree(other_disk) == {"2023/05/09/12_May.csv": content}
    assert tree(imports) == {}
    assert (other_disk / "2023/05/09/12_May.csv").stat().st_mtime == 1000


def test_moving_twice_changes_nothing(
    imports: Path, store: Path, opened: Callable[..., LoadedFile]
) -> None:
    loaded = opened(drop(imports / "x.csv"))
    archive.archive(loaded, store, AT)

    assert archive.archive(loaded, store, AT) == Stored(store / "2023/05/09/12_x.csv", Outcome.GONE)
    assert tree(store) == {"2023/05/09/12_x.csv": CONTENT}


def test_delete_removes_the_loaded_file(imports: Path, opened: Callable[..., LoadedFile]) -> None:
    loaded = opened(drop(imports / "x.csv"))

    assert archive.delete(loaded) is Outcome.MOVED
    assert archive.delete(loaded) is Outcome.GONE
    assert tree(imports) == {}


def test_a_name_that_is_not_utf8_is_stored_in_printable_form(
    imports: Path, store: Path, opened: Callable[..., LoadedFile]
) -> None:
    loaded = opened(drop(imports / os.fsdecode(b"lo\xe4ns.csv")))

    archive.archive(loaded, store, AT)

    assert tree(store) == {r"2023/05/09/12_lo\xe4ns.csv": CONTENT}
    assert tree(imports) == {}


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("x" * 255, "x"),
        ("x" * 251 + ".csv", "x.csv"),
        ("x" * 248 + ".csv.gz", "x.csv.gz"),
        ("ä" * 125 + ".csv", "ä.csv"),
        ("x." + "y" * 249 + ".csv", "y.csv"),
        ("x." + "y" * 253, "y"),
    ],
)
def test_a_name_at_the_limit_is_shortened_before_its_ending(
    name: str,
    ending: str,
    imports: Path,
    store: Path,
    opened: Callable[..., LoadedFile],
) -> None:
    source = drop(imports / name)
    stored = archive.quarantine(opened(source, 1234567890), store, NOTE)

    assert stored.path
    assert stored.path.name.startswith("1234567890_" + name[0])
    assert stored.path.name.endswith(ending)
    note_bytes = len(os.fsencode(stored.path.name + ".error.json"))
    assert 254 <= note_bytes <= 255
    assert set(tree(store)) == {stored.path.name, stored.path.name + ".error.json"}


# Files that are not the one that was loaded


@pytest.mark.parametrize("target_disk", ["store", "other_disk"])
def test_a_newer_file_keeps_its_name_and_the_loaded_content_is_archived(
    target_disk: str,
    imports: Path,
    opened: Callable[..., LoadedFile],
    request: pytest.FixtureRequest,
) -> None:
    folder = request.getfixturevalue(target_disk)
    loaded = opened(drop(imports / "x.csv"))
    drop(imports / "x.csv", b"newer\n")

    assert archive.archive(loaded, folder, AT).outcome is Outcome.REPLACED
    assert tree(folder) == {"2023/05/09/12_x.csv": CONTENT}
    assert tree(imports) == {"x.csv": b"newer\n"}


def test_a_newer_file_that_takes_the_name_at_the_last_instant_gets_it_back(
    imports: Path,
    store: Path,
    opened: Callable[..., LoadedFile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = opened(drop(imports / "x.csv"))
    before_call(monkeypatch, "rename", lambda *_: drop(imports / "x.csv", b"newer\n"))

    assert archive.archive(loaded, store, AT).outcome is Outcome.REPLACED
    assert tree(store) == {"2023/05/09/12_x.csv": CONTENT}
    assert tree(imports) == {"x.csv": b"newer\n"}


@pytest.mark.parametrize("has_links", [True, False])
def test_an_even_newer_file_is_not_overwritten_and_the_one_between_is_kept_aside(
    has_links: bool,
    imports: Path,
    store: Path,
    opened: Callable[..., LoadedFile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def take_the_name_and_maybe_fail(*_: object) -> None:
        drop(imports / "x.csv", b"even newer\n")
        if not has_links:
            raise OSError(errno.EPERM, "no hard links here")

    loaded = opened(drop(imports / "x.csv"))
    before_call(monkeypatch, "rename", lambda *_: drop(imports / "x.csv", b"newer\n"))
    before_call(monkeypatch, "link", take_the_name_and_maybe_fail)

    with capture_logs() as logs:
        assert archive.archive(loaded, store, AT).outcome is Outcome.REPLACED
    assert tree(store) == {"2023/05/09/12_x.csv": CONTENT}
    assert tree(imports) == {"x.csv": b"even newer\n", ".superseded/12/x.csv": b"newer\n"}
    assert [(each["event"], each["file"]) for each in logs] == [
        ("overwritten file set aside", "x.csv")
    ]


def test_without_hard_links_a_newer_file_gets_its_name_back_too(
    imports: Path,
    store: Path,
    opened: Callable[..., LoadedFile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    loaded = opened(drop(imports / "x.csv"))
    before_call(monkeypatch, "rename", lambda *_: drop(imports / "x.csv", b"newer\n"))
    before_call(monkeypatch, "link", fail)

    archive.archive(loaded, store, AT)

    assert tree(imports) == {"x.csv": b"newer\n"}


@pytest.mark.parametrize("moment", ["before", "at the last instant"])
def test_a_file_written_to_after_it_was_read_stays_for_another_load(
    moment: str,
    imports: Path,
    store: Path,
    opened: Callable[..., LoadedFile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def append(*_: object) -> None:
        with (imports / "x.csv").open("ab") as file:
            file.write(b"3,4\n")

    loaded = opened(drop(imports / "x.csv"))
    if moment == "before":
        append()
    else:
        before_call(monkeypatch, "rename", append)

    assert archive.archive(loaded, store, AT) == Stored(None, Outcome.CHANGED)
    assert tree(store) == {}
    assert tree(imports) == {"x.csv": CONTENT + b"3,4\n"}


def test_a_file_written_to_while_it_is_copied_stays_for_another_load(
    imports: Path,
    other_disk: Path,
    opened: Callable[..., LoadedFile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def append(*_: object) -> None:
        with (imports / ".moving/12/x.csv").open("ab") as file:
            file.write(b"3,4\n")

    loaded = opened(drop(imports / "x.csv"))
    before_call(monkeypatch, "sendfile", append)

    assert archive.archive(loaded, other_disk, AT) == Stored(None, Outcome.CHANGED)
    assert tree(other_disk) == {}
    assert tree(imports) == {"x.csv": CONTENT + b"3,4\n"}


@pytest.mark.parametrize("moment", ["before", "at the last instant"])
def test_the_content_of_a_file_that_is_gone_is_archived_all_the_same(
    moment: str,
    imports: Path,
    store: Path,
    opened: Callable[..., LoadedFile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = opened(drop(imports / "x.csv"))
    if moment == "before":
        (imports / "x.csv").unlink()
    else:
        before_call(monkeypatch, "rename", lambda *_: (imports / "x.csv").unlink())

    assert archive.archive(loaded, store, AT).outcome is Outcome.GONE
    assert tree(store) == {"2023/05/09/12_x.csv": CONTENT}


def test_delete_spares_newer_and_changed_files(
    imports: Path, opened: Callable[..., LoadedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = opened(drop(imports / "x.csv"))
    drop(imports / "x.csv", b"newer\n")
    assert archive.delete(replaced) is Outcome.REPLACED

    raced = opened(drop(imports / "y.csv"))
    before_call(monkeypatch, "rename", lambda *_: drop(imports / "y.csv", b"newer\n"))
    assert archive.delete(raced) is Outcome.REPLACED

    changed = opened(drop(imports / "z.csv"))
    (imports / "z.csv").write_bytes(b"rewritten\n")
    assert archive.delete(changed) is Outcome.CHANGED

    assert tree(imports) == {
        "x.csv": b"newer\n",
        "y.csv": b"newer\n",
        "z.csv": b"rewritten\n",
    }


@pytest.mark.parametrize("content", [b"1234567\n", b"of another size\n"])
def test_an_archived_file_of_an_earlier_database_is_not_overwritten(
    content: bytes, imports: Path, store: Path, opened: Callable[..., LoadedFile]
) -> None:
    drop(store / "2023/05/09/12_x.csv", content)
    drop(store / "2023/05/09/12_2_x.csv", content)

    stored = archive.archive(opened(drop(imports / "x.csv")), store, AT)

    assert stored.path == store / "2023/05/09/12_3_x.csv"
    assert tree(store) == {
        "2023/05/09/12_x.csv": content,
        "2023/05/09/12_2_x.csv": content,
        "2023/05/09/12_3_x.csv": CONTENT,
    }


def test_a_source_kept_is_copied_and_left_as_it_is(
    tmp_path: Path, store: Path, opened: Callable[..., LoadedFile]
) -> None:
    source = drop(tmp_path / "elsewhere" / "x.csv")
    loaded = opened(source, keep_source=True)

    assert archive.archive(loaded, store, AT).outcome is Outcome.KEPT
    assert archive.quarantine(loaded, store / "q", NOTE).outcome is Outcome.KEPT
    assert archive.delete(loaded) is Outcome.KEPT

    assert tree(store / "2023") == {"05/09/12_x.csv": CONTENT}
    assert (store / "q/12_x.csv").read_bytes() == CONTENT
    assert files.identity_at(source) == loaded.identity
    assert tree(tmp_path / "elsewhere") == {"x.csv": CONTENT}

    with source.open("ab") as file:
        file.write(b"more\n")
    assert archive.archive(loaded, store / "late", AT) == Stored(None, Outcome.CHANGED)


def test_trouble_of_the_disk_is_raised_and_the_same_call_later_ends_the_move(
    imports: Path,
    other_disk: Path,
    opened: Callable[..., LoadedFile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fill_the_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    loaded = opened(drop(imports / "x.csv"))
    before_call(monkeypatch, "sendfile", fill_the_disk)
    with pytest.raises(OSError, match="No space left on device"):
        archive.archive(loaded, other_disk, AT)

    # What was half copied would keep the disk full.
    assert tree(other_disk) == {}
    assert archive.archive(loaded, other_disk, AT).outcome is Outcome.MOVED
    assert tree(other_disk) == {"2023/05/09/12_x.csv": CONTENT}
    assert tree(imports) == {}


@pytest.mark.parametrize("trouble", ["no room for a copy", "a folder that is closed"])
def test_a_file_that_cannot_be_kept_now_is_not_even_touched(
    trouble: str,
    imports: Path,
    store: Path,
    tmp_path: Path,
    opened: Callable[..., LoadedFile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = drop(imports / "x.csv")
    os.link(source, tmp_path / "its other name, so that it is copied")
    loaded, before = opened(source), source.stat()
    if trouble == "no room for a copy":
        disk = SimpleNamespace(f_blocks=100, f_bavail=0, f_frsize=4096)
        monkeypatch.setattr(os, "statvfs", lambda _path: disk)
    else:
        monkeypatch.setattr(os, "access", lambda _path, _mode: False)

    with pytest.raises(OSError, match=r"No space left|Permission denied") as error:
        archive.archive(loaded, store, AT)

    assert error.value.filename == str(store / "2023/05/09")
    # Its change time would move with a rename, and make the watcher hand it over anew.
    assert source.stat() == before
    assert tree(store) == {}


def test_a_note_that_finds_no_room_leaves_nothing_and_the_file_where_it_is(
    imports: Path, opened: Callable[..., LoadedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_a_part(path: Path, text: str, **_: object) -> int:
        path.write_bytes(text.encode()[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    loaded = opened(drop(imports / "x.csv"))
    with monkeypatch.context() as full_disk:
        full_disk.setattr(Path, "write_text", write_a_part)
        with pytest.raises(OSError, match="No space left on device"):
            archive.quarantine(loaded, imports / ".quarantine", NOTE)

    assert tree(imports) == {"x.csv": CONTENT}
    stored = archive.quarantine(loaded, imports / ".quarantine", NOTE)
    assert stored.path == imports / ".quarantine" / "12_x.csv"


# Other names of the same file


@pytest.mark.parametrize("act", ["archive", "quarantine"])
def test_what_is_written_under_another_name_of_the_file_does_not_change_the_kept_one(
    act: str, imports: Path, store: Path, tmp_path: Path, opened: Callable[..., LoadedFile]
) -> None:
    source = drop(imports / "x.csv")
    other = tmp_path / "original.csv"
    os.link(source, other)
    loaded = opened(source)

    stored = (
        archive.archive(loaded, store, AT)
        if act == "archive"
        else archive.quarantine(loaded, store, NOTE)
    )

    assert stored.path
    assert (other.read_bytes(), tree(imports)) == (CONTENT, {})
    other.write_bytes(b"next day\n")
    assert (stored.path.read_bytes(), stored.outcome) == (CONTENT, Outcome.MOVED)


def test_deleting_a_file_leaves_its_other_names(
    imports: Path, tmp_path: Path, opened: Callable[..., LoadedFile]
) -> None:
    other = tmp_path / "original.csv"
    os.link(drop(imports / "x.csv"), other)

    assert archive.delete(opened(imports / "x.csv")) is Outcome.MOVED

    assert (other.read_bytes(), tree(imports)) == (CONTENT, {})


# Quarantine


def test_a_quarantined_file_has_a_note_beside_it(
    imports: Path, opened: Callable[..., LoadedFile]
) -> None:
    folder = imports / ".quarantine"
    rejects = [Reject(number, "loans", "not a number", f"ä\udcff{number}") for number in range(25)]
    note = replace(
        NOTE,
        found="'Datum'",
        expected="'Date of Repayment'",
        what_to_do="rename the column",
        line_number=1,
        rejects=rejects,
    )

    stored = archive.quarantine(opened(drop(imports / "x.csv")), folder, note)

    assert stored == Stored(folder / "12_x.csv", Outcome.MOVED)
    assert set(tree(imports)) == {".quarantine/12_x.csv", ".quarantine/12_x.csv.error.json"}
    text = (folder / "12_x.csv.error.json").read_text("utf-8")
    assert "ä" in text
    assert json.loads(text) == {
        "load_id": 12,
        "file_name": "x.csv",
        "pipeline": "loans",
        "sha256": "ab12",
        "at": "2023-05-09T23:59:00+00:00",
        "reason": "unknown header",
        "found": "'Datum'",
        "expected": "'Date of Repayment'",
        "what_to_do": "rename the column",
        "line_number": 1,
        "rejects": [
            {
                "line_number": number,
                "column_name": "loans",
                "reason": "not a number",
                "raw": f"ä\udcff{number}",
            }
            for number in range(20)
        ],
    }


def test_the_note_is_there_before_the_file_moves(
    imports: Path, opened: Callable[..., LoadedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = imports / ".quarantine"
    seen: list[set[str]] = []
    real = os.rename

    def rename(source: Path, target: Path) -> None:
        real(source, target)
        seen.append(set(tree(folder)))

    loaded = opened(drop(imports / "x.csv"))
    monkeypatch.setattr(os, "rename", rename)
    archive.quarantine(loaded, folder, NOTE)

    note = "12_x.csv.error.json"
    assert seen == [{note}, {note}, {note, "12_x.csv"}]


def test_a_file_that_was_written_to_meanwhile_has_no_note(
    imports: Path, opened: Callable[..., LoadedFile]
) -> None:
    loaded = opened(drop(imports / "x.csv"))
    with loaded.source.open("ab") as writer:
        writer.write(b"3,4\n")

    stored = archive.quarantine(loaded, imports / ".quarantine", NOTE)

    assert stored == Stored(None, Outcome.CHANGED)
    assert set(tree(imports)) == {"x.csv"}


# Crashes


def crash_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Ends everything right before the numbered call that changes the disk."""
    calls = iter(range(1, number))

    def guard(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(calls, None) is None:
                raise CrashError
            return real(*arguments, **options)

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, guard(getattr(os, name)))


def crashes(act: Act, loaded: LoadedFile, folder: Path, number: int) -> bool:
    with pytest.MonkeyPatch.context() as monkeypatch:
        crash_at(monkeypatch, number)
        try:
            act(loaded, folder)
        except CrashError:
            return True
    return False


def take_name_during_the_claim(monkeypatch: pytest.MonkeyPatch, path: Path) -> list[Path]:
    """Has a newer file come right before the claim's rename; gives the path once it came."""
    real, taken = os.rename, list[Path]()

    def rename(source: Path, target: Path) -> None:
        if Path(source) == path and not taken:
            newer = path.with_name(".newer")
            newer.write_bytes(b"newer\n")
            real(newer, path)
            taken.append(path)
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    return taken


ACTS: list[tuple[Act, dict[str, bytes]]] = [
    (lambda loaded, folder: archive.archive(loaded, folder, AT), {"2023/05/09/12_x.csv": CONTENT}),
    (lambda loaded, folder: archive.quarantine(loaded, folder, NOTE), {"12_x.csv": CONTENT}),
    (lambda loaded, _: archive.delete(loaded), {}),
]


@pytest.mark.parametrize("target_disk", ["store", "other_disk"])
@pytest.mark.parametrize(("act", "expected"), ACTS, ids=["archive", "quarantine", "delete"])
@pytest.mark.parametrize("is_raced", [False, True])
def test_a_crash_between_any_two_steps_and_a_second_call_end_in_the_same_state(
    target_disk: str,
    act: Act,
    expected: dict[str, bytes],
    is_raced: bool,
    imports: Path,
    opened: Callable[..., LoadedFile],
    request: pytest.FixtureRequest,
) -> None:
    disk = request.getfixturevalue(target_disk)
    number, has_crashed = 0, True
    while has_crashed:
        number += 1
        shutil.rmtree(imports)
        folder = disk / str(number)
        loaded = opened(drop(imports / "x.csv"))
        with pytest.MonkeyPatch.context() as monkeypatch:
            taken = take_name_during_the_claim(monkeypatch, imports / "x.csv") if is_raced else []
            has_crashed = crashes(act, loaded, folder, number)
        act(loaded, folder)

        stored = tree(folder)
        stored.pop("12_x.csv.error.json", None)
        assert stored == expected
        assert tree(imports) == ({"x.csv": b"newer\n"} if taken else {})
    assert number > 3


@pytest.mark.parametrize("target_disk", ["store", "other_disk"])
@pytest.mark.parametrize("is_raced", [False, True])
def test_after_a_crash_the_start_of_the_service_finds_every_file_in_its_place(
    target_disk: str,
    is_raced: bool,
    imports: Path,
    opened: Callable[..., LoadedFile],
    request: pytest.FixtureRequest,
) -> None:
    disk = request.getfixturevalue(target_disk)
    source = imports / "loans" / "x.csv"
    number, has_crashed = 0, True
    while has_crashed:
        number += 1
        shutil.rmtree(imports)
        folder = disk / str(number)
        loaded = opened(drop(source))
        with pytest.MonkeyPatch.context() as monkeypatch:
            taken = take_name_during_the_claim(monkeypatch, source) if is_raced else []
            has_crashed = crashes(ACTS[0][0], loaded, folder, number)
        claims.restore_claims(imports)

        in_place = [*tree(imports).values(), *tree(folder).values()]
        assert (b"newer\n" if taken else CONTENT) in in_place
        assert set(tree(imports)) <= {"loans/x.csv"}
        assert not list((source.parent / ".moving").glob("*/*"))
    assert number > 3


def test_restoring_says_what_it_put_back(imports: Path) -> None:
    drop(imports / ".moving/7/a.csv")
    drop(imports / "loans/.moving/8/b.csv")
    drop(imports / ".moving/9/taken.csv", b"older\n")
    drop(imports / "taken.csv", b"newer\n")

    restored = claims.restore_claims(imports)

    assert set(restored) == {
        imports / "a.csv",
        imports / "loans/b.csv",
        imports / "taken.csv",
    }
    assert tree(imports) == {
        "a.csv": CONTENT,
        "loans/b.csv": CONTENT,
        "taken.csv": b"newer\n",
        ".superseded/9/taken.csv": b"older\n",
    }
    assert claims.restore_claims(imports) == []
    assert claims.restore_claims(imports / "missing") == []


def test_a_move_survives_another_service_that_restores_in_the_middle(
    imports: Path,
    store: Path,
    opened: Callable[..., LoadedFile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = os.rename

    def rename(source: Path, target: Path) -> None:
        if Path(target).is_relative_to(store) and source.parent.parent.name == ".moving":
            claims.restore_claims(imports)
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    archive.archive(opened(drop(imports / "x.csv")), store, AT)

    # Once archived, and once more in the folder, where its hash will tell that it is a duplicate.
    assert tree(store) == {"2023/05/09/12_x.csv": CONTENT}
    assert tree(imports) == {"x.csv": CONTENT}


# Opening


def test_only_a_regular_file_is_opened(imports: Path) -> None:
    drop(imports / "x.csv")
    (imports / "link.csv").symlink_to("x.csv")
    (imports / "folder.csv").mkdir()
    os.mkfifo(imports / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(imports / "socket.csv"))
        for name in ("link.csv", "folder.csv", "pipe.csv", "socket.csv"):
            with pytest.raises(FileError, match="expected a regular file"):
                files.open_file(imports / name)

    with pytest.raises(FileError, match="expected a regular file"):
        files.open_file(Path("/dev/null"))
    with files.open_file(imports / "x.csv") as file:
        assert file.read() == CONTENT
        assert files.identity_of(file.fileno()) == files.identity_at(imports / "x.csv")


@pytest.mark.parametrize(
    ("code", "expected", "message"),
    [
        (errno.ENOENT, FileChangedError, "x.csv is gone"),
        (errno.EACCES, FileError, "may not be read"),
        (errno.EMFILE, RetryableError, "x.csv cannot be opened: Too many open files"),
    ],
)
def test_a_file_that_cannot_be_opened_says_what_happens_next(
    code: int,
    expected: type[Exception],
    message: str,
    imports: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(expected, match=message):
        files.open_file(imports / "x.csv")
