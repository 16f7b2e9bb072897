"""What the watcher hands over, checked with real files in a real folder."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from inotify_simple import Event, INotify, flags
from structlog.testing import capture_logs

from app import files, folder, watch
from app.completeness import Completeness, State
from app.domain import Arrival
from app.files import Identity
from app.folder import ImportsFolder, Waiting
from app.settings import Settings
from app.waits import Waits
from app.watcher import Watcher

LIMIT_SECONDS = 30
NEVER = 3600.0

WRITER = """
import sys
with open(sys.argv[1], "ab", buffering=0) as file:
    file.write(b"a,b\\n")
    print("open", flush=True)
    sys.stdin.readline()
"""

Logs = list[MutableMapping[str, Any]]


class Seen:
    """The arrivals of a watcher that runs, in the order they came."""

    def __init__(self, settings: Settings) -> None:
        self.watcher = Watcher(settings)
        self.stop = asyncio.Event()
        self.arrivals: asyncio.Queue[Arrival] = asyncio.Queue()

    async def next(self) -> Arrival:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await self.arrivals.get()

    async def names(self, number: int) -> list[str]:
        return [(await self.next()).name for _ in range(number)]


@asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Seen]:
    seen = Seen(settings)
    running = asyncio.create_task(seen.watcher.run(seen.arrivals.put, seen.stop))
    try:
        yield seen
    finally:
        seen.stop.set()
        async with asyncio.timeout(LIMIT_SECONDS):
            await running


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not is_true():  # noqa: ASYNC110 - the file system sets no event
            await asyncio.sleep(0.005)


def warnings(logs: Logs, event: str) -> Logs:
    return [each for each in logs if each["event"] == event and each["log_level"] == "warning"]


@contextmanager
def writer_on(path: Path) -> Iterator[Callable[[], None]]:
    """Another process that has written a line; gives what makes it close the file."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdin
        assert writer.stdout
        assert writer.stdout.readline() == b"open\n"
        yield writer.stdin.close
        writer.stdin.close()
        assert writer.wait(LIMIT_SECONDS) == 0


@pytest.fixture
def imports(tmp_path: Path) -> Path:
    path = tmp_path / "imports"
    path.mkdir()
    return path


@pytest.fixture
def settings(imports: Path) -> Settings:
    """Sweeps only at the start: what comes later has to come by the watch."""
    return Settings(imports_dir=imports, sweep_seconds=NEVER)


@pytest.fixture
def deaf_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch that loses every event without a word, as after an overflow."""

    hear = INotify.read

    def read(self: INotify, timeout: int) -> list[Event]:
        hear(self, timeout)
        return []

    monkeypatch.setattr(INotify, "read", read)


def drop(path: Path, content: bytes = b"a,b\n1,2\n") -> Path:
    """Writes beside the name and renames, as a careful sender does."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    return temporary.rename(path)


def let_a_tick_pass(folder: Path) -> None:
    """Returns when a new change gets a later ctime; the kernel's clock for it is coarse."""
    probe = folder / ".probe"
    probe.touch()
    before = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before:
        probe.chmod(0o600)


async def test_files_already_there_arrive_oldest_first(imports: Path, settings: Settings) -> None:
    for number, name in enumerate(("c.csv", "a.csv", "b.csv")):
        # The sender's times say the opposite, as they may after a copy.
        os.utime(drop(imports / name), (100 - number, 100 - number))
        let_a_tick_pass(imports)

    async with watching(settings) as seen:
        assert await seen.names(3) == ["c.csv", "a.csv", "b.csv"]


async def test_an_arrival_says_all_the_router_needs(imports: Path, settings: Settings) -> None:
    (imports / "Loans").mkdir()
    async with watching(settings) as seen:
        began = datetime.now(UTC)
        path = drop(imports / "Loans" / "May.csv")
        arrival = await seen.next()

    assert began <= arrival.discovered_at <= datetime.now(UTC)
    assert arrival == Arrival(path, "May.csv", "loans", 8, arrival.discovered_at)


async def test_a_file_dropped_into_a_new_feed_folder_arrives(
    imports: Path, settings: Settings
) -> None:
    async with watching(settings) as seen:
        drop(imports / "first.csv")
        await seen.next()
        (imports / "loans").mkdir()
        drop(imports / "loans" / "x.csv")

        assert (await seen.next()).path == imports / "loans" / "x.csv"


async def test_a_file_still_written_arrives_when_its_writer_closes_it(
    imports: Path, settings: Settings
) -> None:
    async with watching(settings) as seen:
        with writer_on(imports / "slow.csv") as close:
            drop(imports / "quick.csv")
            assert await seen.names(1) == ["quick.csv"]
            close()
            assert await seen.names(1) == ["slow.csv"]


async def test_a_file_arrives_once_and_again_when_it_changes(
    imports: Path, settings: Settings
) -> None:
    async with watching(settings) as seen:
        drop(imports / "x.csv", b"first\n")
        assert (await seen.next()).file_bytes == 6
        seen.watcher._note(None)
        seen.watcher._note({imports / "x.csv"})
        drop(imports / "x.csv", b"second\n")
        assert (await seen.next()).file_bytes == 7
        seen.watcher._note(None)
        drop(imports / "end.csv")

        assert await seen.names(1) == ["end.csv"]
        assert seen.arrivals.empty()


async def test_a_forgotten_file_arrives_again(imports: Path, settings: Settings) -> None:
    async with watching(settings) as seen:
        path = drop(imports / "x.csv")
        await seen.next()
        seen.watcher.forget(path)
        await seen.next()

        seen.watcher.forget(path, after_seconds=0.05)
        assert (await seen.next()).path == path


async def test_a_forgotten_file_that_is_gone_does_not_arrive(
    imports: Path, settings: Settings
) -> None:
    async with watching(settings) as seen:
        path = drop(imports / "x.csv")
        await seen.next()
        path.unlink()
        seen.watcher.forget(path)
        drop(imports / "end.csv")

        assert await seen.names(1) == ["end.csv"]


async def test_a_forgotten_file_stays_away_for_the_time_given(
    imports: Path, settings: Settings
) -> None:
    async with watching(settings) as seen:
        path = drop(imports / "x.csv")
        await seen.next()
        seen.watcher.forget(path, after_seconds=NEVER)
        seen.watcher._note(None)
        drop(imports / "end.csv")

        assert await seen.names(1) == ["end.csv"]


async def test_hidden_and_unfinished_names_never_arrive(imports: Path, settings: Settings) -> None:
    for name in (".hidden.csv", "a.tmp", "a.csv.PART", "a.partial", "a.CrDownload", "a.csv~"):
        (imports / name).write_bytes(b"x\n")
    for name in (".quarantine", ".archive", ".feed", "feed.tmp"):
        (imports / name).mkdir()
        (imports / name / "x.csv").write_bytes(b"x\n")

    async with watching(settings) as seen:
        (imports / "b.tmp").write_bytes(b"x\n")
        (imports / ".archive" / "y.csv").write_bytes(b"x\n")
        drop(imports / "end.csv")
        assert await seen.names(1) == ["end.csv"]
        seen.watcher._note(None)
        drop(imports / "end2.csv")
        assert await seen.names(1) == ["end2.csv"]


async def test_an_archive_inside_the_folder_is_not_read_even_without_a_dot(
    imports: Path,
) -> None:
    settings = Settings(imports_dir=imports, archive_dir=imports / "done", sweep_seconds=NEVER)
    (imports / "done").mkdir()
    (imports / "done" / "1_x.csv").write_bytes(b"x\n")
    async with watching(settings) as seen:
        (imports / "done" / "2_x.csv").write_bytes(b"x\n")
        drop(imports / "end.csv")

        assert await seen.names(1) == ["end.csv"]


async def test_a_name_that_is_not_utf8_arrives_and_the_watch_goes_on(
    imports: Path, settings: Settings
) -> None:
    path = imports / os.fsdecode(b"lo\xe4ns\n.csv")
    with capture_logs() as logs:
        async with watching(settings) as seen:
            drop(imports / "first.csv")
            await seen.next()
            path.write_bytes(b"x\n")
            arrival = await seen.next()
            drop(imports / "after.csv")
            assert await seen.names(1) == ["after.csv"]

    assert (arrival.path, arrival.name) == (path, r"lo\xe4ns\n.csv")
    assert arrival.path.read_bytes() == b"x\n"
    assert not warnings(logs, "watch broke, sweeps go on until it is back")


async def test_entries_that_are_not_regular_files_are_left_alone_with_one_warning_each(
    imports: Path, settings: Settings, tmp_path: Path
) -> None:
    drop(tmp_path / "outside.csv")
    (tmp_path / "elsewhere").mkdir()
    drop(tmp_path / "elsewhere" / "inside.csv")
    (imports / "link.csv").symlink_to(tmp_path / "outside.csv")
    (imports / "feed").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(imports / "pipe.csv")
    (imports / "loans" / "2023").mkdir(parents=True)
    drop(imports / "loans" / "2023" / "deep.csv")
    with socket.socket(socket.AF_UNIX) as server, capture_logs() as logs:
        server.bind(str(imports / "socket.csv"))
        async with watching(settings) as seen:
            drop(imports / "end.csv")
            assert await seen.names(1) == ["end.csv"]
            seen.watcher._note(None)
            drop(imports / "loans" / "2023" / "deep2.csv")
            drop(imports / "end2.csv")
            assert await seen.names(1) == ["end2.csv"]

    reasons = {each["file"]: each["reason"] for each in warnings(logs, "entry is left alone")}
    assert len(warnings(logs, "entry is left alone")) == len(reasons)
    assert reasons == {
        "link.csv": "not a regular file: a symbolic link is never followed",
        "feed": "not a regular file: a symbolic link is never followed",
        "pipe.csv": "not a regular file: a named pipe",
        "socket.csv": "not a regular file: a socket",
        "2023": "not a regular file: files are read at most one folder deep",
    }


async def test_an_entry_that_becomes_a_regular_file_arrives(
    imports: Path, settings: Settings
) -> None:
    os.mkfifo(imports / "x.csv")
    async with watching(settings) as seen:
        drop(imports / "y.csv")
        assert await seen.names(1) == ["y.csv"]
        drop(imports / "x.csv")

        assert await seen.names(1) == ["x.csv"]


async def test_sweeps_find_what_the_watch_never_tells(imports: Path, deaf_watch: None) -> None:
    async with watching(Settings(imports_dir=imports, sweep_seconds=0.05)) as seen:
        drop(imports / "x.csv")
        assert await seen.names(1) == ["x.csv"]
        (imports / "loans").mkdir()
        drop(imports / "loans" / "y.csv")
        assert await seen.names(1) == ["y.csv"]


async def test_a_watch_that_cannot_start_is_reported_once_and_tried_until_it_stands(
    imports: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = INotify.add_watch, iter(range(3))

    def add_watch(self: INotify, path: Path, mask: int) -> int:
        if next(failures, None) is not None:
            raise OSError(errno.ENOSPC, "No space left on device")
        number: int = real(self, path, mask)
        return number

    monkeypatch.setattr(INotify, "add_watch", add_watch)
    drop(imports / "before.csv")
    with capture_logs() as logs:
        async with watching(settings) as seen:
            assert await seen.names(1) == ["before.csv"]
            await until(lambda: next(failures, None) is None)
            drop(imports / "after.csv")
            assert await seen.names(1) == ["after.csv"]

    assert warnings(logs, "watch broke, sweeps go on until it is back") == [
        {
            "event": "watch broke, sweeps go on until it is back",
            "log_level": "warning",
            "error": f"[Errno 28] inotify watch limit reached: '{imports}'",
            "what_to_do": (
                "raise the limit with `sysctl fs.inotify.max_user_watches=...`; until then some"
                " files are found by sweeps only, every 3600 seconds (SWEEP_SECONDS)"
            ),
        }
    ]


async def test_a_deleted_folder_is_made_again_and_watched(
    imports: Path, settings: Settings
) -> None:
    async with watching(settings) as seen:
        drop(imports / "x.csv")
        await seen.next()
        shutil.rmtree(imports)
        await until(imports.is_dir)
        drop(imports / "y.csv")
        assert await seen.names(1) == ["y.csv"]
        drop(imports / "z.csv")
        assert await seen.names(1) == ["z.csv"]


def replace_folder(path: Path) -> None:
    path.rename(path.with_name("old"))
    path.mkdir()


async def test_a_folder_moved_away_and_replaced_is_watched_anew(
    imports: Path, settings: Settings
) -> None:
    async with watching(settings) as seen:
        drop(imports / "x.csv")
        await seen.next()
        replace_folder(imports)
        drop(imports / "y.csv")
        assert await seen.names(1) == ["y.csv"]
        drop(imports / "z.csv")
        assert await seen.names(1) == ["z.csv"]


async def test_a_sweep_makes_a_folder_again_that_the_watch_did_not_miss(
    imports: Path, deaf_watch: None
) -> None:
    with capture_logs() as logs:
        async with watching(Settings(imports_dir=imports, sweep_seconds=0.05)) as seen:
            drop(imports / "x.csv")
            await seen.next()
            shutil.rmtree(imports)
            await until(imports.is_dir)
            drop(imports / "y.csv")
            assert await seen.names(1) == ["y.csv"]

    assert len(warnings(logs, "imports folder was gone, made again")) == 1


async def test_beside_a_closed_folder_the_others_are_watched_and_it_is_tried_again(
    imports: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, real = imports / "closed", INotify.add_watch
    is_closed = [True]

    def add_watch(self: INotify, path: Path, mask: int) -> int:
        if path == closed and is_closed[0]:
            raise PermissionError(errno.EACCES, "Permission denied")
        number: int = real(self, path, mask)
        return number

    monkeypatch.setattr(INotify, "add_watch", add_watch)
    monkeypatch.setattr(watch, "PARTIAL_WATCH_SECONDS", 0.2)
    closed.mkdir()
    (imports / "open").mkdir()
    with capture_logs() as logs:
        async with watching(settings) as seen:
            for number in range(3):
                drop(imports / f"{number}.csv")
                assert await seen.names(1) == [f"{number}.csv"]
            drop(imports / "open" / "in_open.csv")
            assert await seen.names(1) == ["in_open.csv"]
            assert seen.watcher._watch._is_partial
            is_closed[0] = False
            await until(lambda: not seen.watcher._watch._is_partial)
            drop(closed / "end.csv")
            assert await seen.names(1) == ["end.csv"]

    (warning,) = warnings(logs, "watch broke, sweeps go on until it is back")
    assert warning["error"] == f"[Errno 13] Permission denied: '{closed}'"
    assert warning["what_to_do"].startswith("let the service's user read that folder; until then")


async def test_a_folder_with_new_rights_is_watched_at_once(
    imports: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, real = imports / "closed", INotify.add_watch

    def add_watch(self: INotify, path: Path, mask: int) -> int:
        if path == closed and not closed.stat().st_mode & 0o400:
            raise PermissionError(errno.EACCES, "Permission denied")
        number: int = real(self, path, mask)
        return number

    monkeypatch.setattr(INotify, "add_watch", add_watch)
    closed.mkdir(0o300)
    async with watching(settings) as seen:
        drop(imports / "first.csv")
        await seen.next()
        closed.chmod(0o700)
        drop(closed / "x.csv")
        assert await seen.names(1) == ["x.csv"]
        drop(closed / "y.csv")
        assert await seen.names(1) == ["y.csv"]


async def test_what_an_overflow_hid_is_found_at_once(
    imports: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear, is_full = INotify.read, [False]

    def read(self: INotify, timeout: int) -> list[Event]:
        events = hear(self, timeout)
        return [Event(-1, flags.Q_OVERFLOW, 0, "")] if is_full[0] else events

    monkeypatch.setattr(INotify, "read", read)
    async with watching(settings) as seen:
        drop(imports / "first.csv")
        await seen.next()
        is_full[0] = True
        (imports / "loans").mkdir()
        drop(imports / "loans" / "x.csv")
        assert await seen.names(1) == ["x.csv"]
        is_full[0] = False
        drop(imports / "loans" / "y.csv")
        assert await seen.names(1) == ["y.csv"]


async def test_a_renamed_feed_folder_is_watched_under_its_new_name(
    imports: Path, settings: Settings, tmp_path: Path
) -> None:
    old, new = imports / "old", imports / "new"
    old.mkdir()
    async with watching(settings) as seen:
        drop(old / "x.csv")
        assert (await seen.next()).path == old / "x.csv"
        (old / "x.csv").unlink()
        old.rename(new)
        drop(new / "y.csv")
        assert (await seen.next()).path == new / "y.csv"
        new.rename(tmp_path / "out_of_here")
        drop(tmp_path / "out_of_here" / "z.csv")
        new.mkdir()
        drop(new / "end.csv")
        assert (await seen.next()).path == new / "end.csv"
        shutil.rmtree(new)
        new.mkdir()
        drop(new / "again.csv")
        assert (await seen.next()).path == new / "again.csv"


async def test_a_hard_link_arrives(imports: Path, settings: Settings, tmp_path: Path) -> None:
    async with watching(settings) as seen:
        drop(imports / "first.csv")
        await seen.next()
        (imports / "x.csv").hardlink_to(drop(tmp_path / "elsewhere.csv"))
        assert await seen.names(1) == ["x.csv"]


def put_a_file_in_place_of(folder: Path) -> None:
    """Tries until no sweep has made the folder again in between."""
    for _ in range(100):
        shutil.rmtree(folder)
        with suppress(IsADirectoryError):
            folder.write_bytes(b"in the way")
            return
    raise AssertionError(f"the watcher makes {folder} again each time")


def troubles(logs: Logs) -> str:
    return "\n".join(each["error"] for each in warnings(logs, "imports folder cannot be listed"))


async def test_a_folder_that_cannot_be_listed_does_not_stop_the_watcher(
    imports: Path, deaf_watch: None
) -> None:
    with capture_logs() as logs:
        async with watching(Settings(imports_dir=imports, sweep_seconds=0.05)) as seen:
            drop(imports / "x.csv")
            await seen.next()
            put_a_file_in_place_of(imports)
            await until(lambda: "Not a directory" in troubles(logs))
            # Time for more looks and sweeps, which must not say it again.
            seen.watcher.forget(imports / "x.csv")
            swept_until = seen.watcher._next_sweep + 0.2
            await until(lambda: seen.watcher._next_sweep > swept_until)
            shutil.move(imports, imports.with_name("moved"))
            await until(imports.is_dir)
            drop(imports / "y.csv")
            assert await seen.names(1) == ["y.csv"]

    # A sweep that began before the file was there may meet another trouble, which is told too.
    found = warnings(logs, "imports folder cannot be listed")
    assert troubles(logs).count("Not a directory") == 1
    assert len({each["error"] for each in found}) == len(found)
    assert all(str(imports) in each["error"] for each in found)
    assert all("a folder that the service's user may read" in each["what_to_do"] for each in found)
    assert [each["event"] for each in logs].count("imports folder can be listed again") == 1


async def test_a_missing_folder_is_made_at_the_start(imports: Path, settings: Settings) -> None:
    shutil.rmtree(imports)
    async with watching(settings) as seen:
        await until(imports.is_dir)
        drop(imports / "x.csv")
        assert await seen.names(1) == ["x.csv"]


async def test_an_imports_folder_that_is_itself_a_link_is_watched(
    imports: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(imports)
    async with watching(Settings(imports_dir=link, sweep_seconds=NEVER)) as seen:
        drop(imports / "x.csv")
        assert (await seen.next()).path == link / "x.csv"
        drop(imports / "y.csv")
        assert (await seen.next()).path == link / "y.csv"


async def test_polling_finds_files_where_mounts_send_no_events(imports: Path) -> None:
    settings = Settings(imports_dir=imports, sweep_seconds=NEVER, force_polling=True)
    async with watching(settings) as seen:
        drop(imports / "x.csv")
        assert await seen.names(1) == ["x.csv"]
        drop(imports / "y.csv")
        assert await seen.names(1) == ["y.csv"]


async def test_without_leases_a_file_arrives_when_it_has_stood_still(
    imports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, command: int, argument: int = 0) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    settings = Settings(imports_dir=imports, sweep_seconds=NEVER, settle_seconds=0.2)
    async with watching(settings) as seen:
        dropped_at = datetime.now(UTC)
        drop(imports / "x.csv")
        arrival = await seen.next()

    assert arrival.discovered_at - dropped_at >= timedelta(seconds=0.2)


async def test_a_file_waiting_too_long_is_reported_once_with_its_reason(imports: Path) -> None:
    settings = Settings(imports_dir=imports, sweep_seconds=0.02, stale_file_seconds=0.1)
    with capture_logs() as logs:
        async with watching(settings) as seen:
            with writer_on(imports / "slow.csv") as close:
                await until(lambda: bool(warnings(logs, "file waits too long")))
                # Time for many more looks, told by the arrival of other files.
                for number in range(5):
                    drop(imports / f"{number}.csv")
                    await seen.next()
                close()
                assert await seen.names(1) == ["slow.csv"]

    (warning,) = warnings(logs, "file waits too long")
    assert warning.pop("seconds") >= 0.1
    assert warning == {
        "event": "file waits too long",
        "log_level": "warning",
        "file": "slow.csv",
        "folder": None,
        "reason": "still open for writing",
        "what_to_do": "close it in the program that has it open; `lsof` names that",
    }


async def test_an_unreadable_file_is_reported_after_a_second_and_no_earlier(
    imports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(imports / "x.csv")
    clock = [1000.0]
    waits = Waits(NEVER, lambda: clock[0])
    [candidate] = ImportsFolder.of(Settings(imports_dir=imports)).candidates()
    unreadable = Completeness(State.NOT_READABLE, "not readable: Permission denied")
    with capture_logs() as logs:
        for passed in (0.0, 0.9, 1.0, 2.0):
            clock[0] = 1000.0 + passed
            waits.put_off(candidate, unreadable, is_hinted=False)
            assert len(logs) == (0 if passed < 1 else 1)

    assert logs[0] == {
        "event": "file waits too long",
        "log_level": "warning",
        "file": path.name,
        "folder": None,
        "seconds": 1.0,
        "reason": "not readable: Permission denied",
        "what_to_do": "let the service's user read it; it loads then",
    }


async def test_a_clock_that_is_set_back_makes_no_file_wait_and_hides_none_that_does(
    imports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_day_ago = time.time() - 86400
    monkeypatch.setattr(time, "time", lambda: a_day_ago)
    settings = Settings(imports_dir=imports, settle_seconds=0.02, stale_file_seconds=0.1)
    (imports / "future.csv").write_bytes(b"a,b\n")
    os.utime(imports / "future.csv", (4e9, 4e9))
    (imports / "empty.csv").touch()
    with capture_logs() as logs:
        async with watching(settings) as seen:
            assert set(await seen.names(2)) == {"future.csv", "empty.csv"}
            with writer_on(imports / "slow.csv"):
                await until(lambda: bool(warnings(logs, "file waits too long")))

    (warning,) = warnings(logs, "file waits too long")
    assert (warning["file"], warning["seconds"] < LIMIT_SECONDS) == ("slow.csv", True)


async def test_an_old_file_that_only_has_to_settle_is_not_reported(imports: Path) -> None:
    settings = Settings(imports_dir=imports, settle_seconds=0.02, stale_file_seconds=1.0)
    old = drop(imports / "empty.csv", b"")
    await until(lambda: time.time() - old.stat().st_ctime > 1.1)
    with capture_logs() as logs:
        async with watching(settings) as seen:
            assert await seen.names(1) == ["empty.csv"]

    assert warnings(logs, "file waits too long") == []


async def test_a_file_that_never_settles_is_reported(imports: Path) -> None:
    settings = Settings(imports_dir=imports, settle_seconds=NEVER, stale_file_seconds=0.1)
    restless = drop(imports / "empty.csv", b"")
    with capture_logs() as logs:
        async with watching(settings):

            def is_reported() -> bool:
                restless.touch()
                return bool(warnings(logs, "file waits too long"))

            await until(is_reported)

    (warning,) = warnings(logs, "file waits too long")
    assert warning["reason"].startswith("settling: ")


async def test_ten_thousand_files_arrive_once_each(imports: Path, settings: Settings) -> None:
    names = {f"{number:05}.csv" for number in range(10_000)}
    half = sorted(names)[:5000]
    for name in half:
        (imports / name).write_bytes(b"x\n")
    async with watching(settings) as seen:
        first = await seen.names(5000)
        for name in sorted(names)[5000:]:
            drop(imports / name)
        second = await seen.names(5000)
        seen.watcher._note(None)
        drop(imports / "end.csv")
        assert await seen.names(1) == ["end.csv"]

    assert set(first) == set(half)
    assert set(first) | set(second) == names


async def test_a_file_replaced_while_others_are_handed_over_arrives_in_its_new_version(
    imports: Path, settings: Settings
) -> None:
    for name in ("a.csv", "b.csv"):
        drop(imports / name, b"old\n")
    arrivals: list[tuple[str, int]] = []
    stop = asyncio.Event()

    async def replace_the_other(arrival: Arrival) -> None:
        arrivals.append((arrival.name, arrival.file_bytes))
        if len(arrivals) == 1:
            drop(imports / ({"a.csv", "b.csv"} - {arrival.name}).pop(), b"newer\n")
        else:
            stop.set()

    async with asyncio.timeout(LIMIT_SECONDS):
        await Watcher(settings).run(replace_the_other, stop)

    assert [size for _, size in arrivals] == [4, 6]
    assert {name for name, _ in arrivals} == {"a.csv", "b.csv"}


async def test_a_folder_that_becomes_a_link_out_between_check_and_open_is_not_followed(
    imports: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (imports / "loans", tmp_path / "private"):
        place.mkdir()
        drop(place / "x.csv")
    real = files.open_descriptor

    def swap_then_open(path: Path) -> int:
        monkeypatch.setattr(files, "open_descriptor", real)
        (imports / "loans").rename(tmp_path / "away")
        (imports / "loans").symlink_to(tmp_path / "private")
        return real(path)

    monkeypatch.setattr(files, "open_descriptor", swap_then_open)
    with capture_logs() as logs:
        async with watching(settings) as seen:
            await until(lambda: files.open_descriptor is real)
            drop(imports / "y.csv")
            assert await seen.names(1) == ["y.csv"]
            seen.watcher._note(None)
            drop(imports / "z.csv")
            assert await seen.names(1) == ["z.csv"]

    assert [each["file"] for each in warnings(logs, "entry is left alone")] == ["loans"]


async def test_a_file_replaced_between_check_and_open_arrives_once_in_its_new_version(
    imports: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(imports / "x.csv", b"old\n")
    real = files.open_descriptor

    def replace_then_open(path: Path) -> int:
        monkeypatch.setattr(files, "open_descriptor", real)
        drop(imports / "x.csv", b"newer\n")
        return real(path)

    monkeypatch.setattr(files, "open_descriptor", replace_then_open)
    async with watching(settings) as seen:
        arrival = await seen.next()
        drop(imports / "end.csv")
        end = await seen.next()

    assert [(each.name, each.file_bytes) for each in (arrival, end)] == [
        ("x.csv", 6),
        ("end.csv", 8),
    ]


async def test_stop_ends_a_watcher_whose_queue_is_full(imports: Path, settings: Settings) -> None:
    drop(imports / "x.csv")
    drop(imports / "y.csv")
    queue: asyncio.Queue[Arrival] = asyncio.Queue(maxsize=1)
    stop = asyncio.Event()
    running = asyncio.create_task(Watcher(settings).run(queue.put, stop))
    await until(queue.full)
    stop.set()
    async with asyncio.timeout(2):
        await running


def test_waiting_files_say_why_each_waits(imports: Path, settings: Settings) -> None:
    (imports / "Loans").mkdir()
    drop(imports / "Loans" / "done.csv")
    (imports / "empty.csv").touch()
    (imports / "link.csv").symlink_to("empty.csv")
    (imports / "ignored.tmp").touch()
    with writer_on(imports / "slow.csv"):
        found = folder.waiting_files(settings)
    since = {
        each.name: datetime.fromtimestamp(each.path.lstat().st_ctime_ns / 1e9, UTC)
        for each in found
    }

    assert sorted(found, key=lambda each: each.name) == [
        Waiting(
            imports / "Loans" / "done.csv",
            "Loans/done.csv",
            8,
            since["Loans/done.csv"],
            "complete, waits for the service",
        ),
        Waiting(
            imports / "empty.csv",
            "empty.csv",
            0,
            since["empty.csv"],
            "cannot tell whether complete; the service waits until it is unchanged for 1 seconds",
        ),
        Waiting(
            imports / "link.csv",
            "link.csv",
            len("empty.csv"),
            since["link.csv"],
            "not a regular file: a symbolic link is never followed",
        ),
        Waiting(imports / "slow.csv", "slow.csv", 4, since["slow.csv"], "still open for writing"),
    ]


def test_a_missing_folder_holds_no_waiting_files(imports: Path, settings: Settings) -> None:
    imports.rmdir()

    assert folder.waiting_files(settings) == []


def test_a_feed_folder_that_may_not_be_read_is_a_candidate_that_says_so(
    imports: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (imports / "loans").mkdir()
    real = os.listdir

    def refuse(path: Path) -> list[str]:
        if Path(path).name == "loans":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "listdir", refuse)
    (found,) = ImportsFolder.of(settings).candidates()

    assert (found.name, found.refusal) == ("loans", "not readable: Permission denied")
    assert not found.is_folder


def test_a_file_whose_facts_are_denied_is_a_candidate_that_says_so(
    imports: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(imports / "x.csv")

    def refuse(path: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "lstat", refuse)
    (found,) = ImportsFolder.of(settings).candidates()

    assert (found.refusal, found.identity) == (
        "not readable: Permission denied",
        Identity(0, 0, 0, 0, 0),
    )


def test_a_path_below_a_linked_feed_folder_is_no_candidate(
    imports: Path, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    drop(tmp_path / "elsewhere" / "x.csv")
    (imports / "feed").symlink_to(tmp_path / "elsewhere")
    paths = [imports / "feed" / "x.csv", tmp_path / "elsewhere" / "x.csv", imports / "missing"]

    assert ImportsFolder.of(settings).candidates_at(paths) == []
