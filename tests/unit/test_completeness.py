"""When a file counts as complete, checked with real writers."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app import completeness
from app.completeness import Completeness, Observer, State
from app.files import Identity

WRITER = """
import sys
with open(sys.argv[1], "ab", buffering=0) as file:
    file.write(b"a,b\\n")
    print("open", flush=True)
    sys.stdin.readline()
"""

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:5 / /proc rw - proc proc rw
40 22 0:50 / /mnt/my\\040share rw,relatime shared:1 - virtiofs share rw
41 40 0:51 / /mnt/my\\040share/inner rw - tmpfs tmpfs rw
42 22 0:52 / /twice rw - nfs4 server:/ rw
43 22 0:53 / /twice rw - xfs /dev/vdb rw
"""


class Clock:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def observer(clock: Clock) -> Observer:
    return Observer(1.0, clock)


@contextmanager
def writer_on(path: Path) -> Iterator[None]:
    """Another process that has written a line and keeps the file open."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdin
        assert writer.stdout
        assert writer.stdout.readline() == b"open\n"
        yield
        writer.stdin.write(b"\n")
        writer.stdin.close()
        assert writer.wait(10) == 0


def refuse_leases(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(descriptor: int, command: int, argument: int = 0) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "fcntl", refuse)


def identity(path: Path) -> Identity:
    return Identity.of(path.stat())


def test_a_closed_file_is_complete_at_the_first_look(tmp_path: Path, observer: Observer) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(b"a,b\n")

    assert observer.look(path) == Completeness(State.COMPLETE, "complete", identity(path))


def test_a_file_that_another_process_writes_is_not_complete_until_it_closes(
    tmp_path: Path, observer: Observer, clock: Clock
) -> None:
    path = tmp_path / "loans.csv"
    with writer_on(path):
        clock.now += 1000
        outcome = observer.look(path)
    assert outcome == Completeness(State.OPEN_FOR_WRITING, "still open for writing", identity(path))
    assert not outcome.is_complete

    assert observer.look(path).is_complete


def test_a_file_that_another_process_reads_is_complete(tmp_path: Path, observer: Observer) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(b"a,b\n")
    with path.open("rb"):
        assert observer.look(path).is_complete


def test_no_lease_stays_behind_to_hold_a_writer_back(tmp_path: Path, observer: Observer) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(b"a,b\n")
    observer.look(path)

    # With a lease on the file this open would fail with EAGAIN.
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def test_a_writer_that_opens_during_the_look_does_not_end_the_program(tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(b"a,b\n")
    program = """
import fcntl, os, sys
from app import completeness
real, path = fcntl.fcntl, sys.argv[1]
def with_writer(descriptor, command, argument=0):
    if argument == fcntl.F_UNLCK:
        try:
            os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except BlockingIOError:
            print("the lease was broken")
    return real(descriptor, command, argument)
fcntl.fcntl = with_writer
print(completeness.has_writer(os.open(path, os.O_RDONLY)))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert (ended.returncode, ended.stdout) == (0, "the lease was broken\nFalse\n")


def test_an_empty_file_waits_for_the_settle_time(
    tmp_path: Path, observer: Observer, clock: Clock
) -> None:
    path = tmp_path / "loans.csv"
    path.touch()
    assert observer.look(path) == Completeness(
        State.SETTLING, "settling: unchanged for 0.0 of 1.0 seconds", identity(path), 1.0
    )

    clock.now += 0.75
    assert observer.look(path).recheck_seconds == 0.25

    clock.now += 0.25
    assert observer.look(path).is_complete


def test_an_empty_file_that_gets_content_is_complete_at_once(
    tmp_path: Path, observer: Observer
) -> None:
    path = tmp_path / "loans.csv"
    path.touch()
    observer.look(path)
    path.write_bytes(b"a,b\n")

    assert observer.look(path).is_complete


@pytest.mark.parametrize(
    "code",
    [errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EPERM],
    ids=errno.errorcode.get,
)
def test_where_the_kernel_cannot_tell_the_file_has_to_stand_still(
    code: int,
    tmp_path: Path,
    observer: Observer,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse_leases(monkeypatch, code)
    path = tmp_path / "loans.csv"
    path.write_bytes(b"a,b\n")
    assert observer.look(path).state is State.SETTLING

    clock.now += 0.4
    assert observer.look(path).reason == "settling: unchanged for 0.4 of 1.0 seconds"

    clock.now += 0.6
    assert observer.look(path) == Completeness(State.COMPLETE, "complete", identity(path))


def test_any_change_starts_the_settle_time_anew(
    tmp_path: Path, observer: Observer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_leases(monkeypatch, errno.EINVAL)
    path = tmp_path / "loans.csv"
    other = tmp_path / "other.csv"
    path.write_bytes(b"a,b\n")
    other.write_bytes(b"a,b\n")

    def grow() -> None:
        path.write_bytes(b"a,b\nc,d\n")

    def change_mtime() -> None:
        os.utime(path, ns=(1, 1))

    def replace() -> None:
        other.rename(path)

    for change in (grow, change_mtime, replace):
        observer.look(path)
        clock.now += 0.9
        change()
        assert observer.look(path).recheck_seconds == 1.0


def test_a_file_of_another_user_has_to_stand_still(observer: Observer, clock: Clock) -> None:
    # Only the owner, or a process with CAP_LEASE, may take a lease.
    path = Path("/etc/passwd")
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        first = observer.look(path)
        clock.now += 1.0
        second = observer.look(path)
    finally:
        if is_root:
            os.seteuid(0)

    assert (first.state, second.state) == (State.SETTLING, State.COMPLETE)


def test_a_lease_is_not_believed_on_a_mount_shared_with_another_kernel(
    tmp_path: Path, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("1 0 0:1 / / rw - virtiofs share rw\n")
    monkeypatch.setattr(completeness, "MOUNTS", mounts)
    path = tmp_path / "loans.csv"
    path.write_bytes(b"a,b\n")

    assert observer.look(path).state is State.SETTLING


def test_without_a_list_of_mounts_the_file_has_to_stand_still(
    tmp_path: Path, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completeness, "MOUNTS", tmp_path / "missing")
    path = tmp_path / "loans.csv"
    path.write_bytes(b"a,b\n")

    assert observer.look(path).state is State.SETTLING


@pytest.mark.parametrize(
    ("folder", "file_system"),
    [
        ("/data/imports", "ext4"),
        ("/mnt/my share/imports", "virtiofs"),
        ("/mnt/my share/inner", "tmpfs"),
        ("/mnt/my shares", "ext4"),
        ("/twice/imports", "xfs"),
    ],
)
def test_the_innermost_and_latest_mount_says_what_file_system_it_is(
    folder: str, file_system: str
) -> None:
    assert completeness.file_system_in(MOUNTS, Path(folder)) == file_system


def test_what_is_not_a_regular_file_is_never_complete(tmp_path: Path, observer: Observer) -> None:
    (tmp_path / "real.csv").write_bytes(b"a,b\n")
    (tmp_path / "link.csv").symlink_to("real.csv")
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.csv"))
        names = ["link.csv", "folder.csv", "pipe.csv", "socket.csv"]
        states = [observer.look(tmp_path / name).state for name in names]

    assert states == [State.NOT_REGULAR] * 4
    assert observer.look(Path("/dev/null")).state is State.NOT_REGULAR


def test_a_missing_file_is_gone(tmp_path: Path, observer: Observer) -> None:
    (tmp_path / "file").touch()

    assert observer.look(tmp_path / "missing.csv") == Completeness(State.GONE, "gone")
    assert observer.look(tmp_path / "file" / "x.csv") == Completeness(State.GONE, "gone")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.EACCES, Completeness(State.NOT_READABLE, "not readable: Permission denied")),
        (errno.EIO, Completeness(State.NOT_READABLE, "not readable: Input/output error")),
        (errno.EAGAIN, Completeness(State.OPEN_FOR_WRITING, "still open for writing")),
    ],
)
def test_a_file_that_cannot_be_opened_says_why(
    code: int,
    expected: Completeness,
    tmp_path: Path,
    observer: Observer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)

    assert observer.look(tmp_path / "loans.csv") == expected


def test_a_look_leaves_no_descriptor_open(tmp_path: Path, observer: Observer) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(b"a,b\n")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for each in (path, tmp_path, tmp_path / "missing"):
        observer.look(each)

    assert len(list(Path("/proc/self/fd").iterdir())) == before
