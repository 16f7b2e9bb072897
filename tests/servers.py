"""A PostgreSQL server of a test's own: to be restarted, filled up, and kept from writing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from app.store import locks, server_launch
from app.store.cluster import Cluster
from app.store.server_account import Account, choose_account

LIMIT_SECONDS = 30
FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT


@dataclass
class Server:
    """One data folder, and the server on it while it is up.

    options: settings of the server, besides those of an embedded one. wrapper: the words before
    the server's own call. seen_at: where its data folder is to be found, from here.
    """

    files: Cluster
    account: Account
    options: dict[str, str] = field(default_factory=dict)
    wrapper: tuple[str, ...] = ()
    seen_at: Path | None = None
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = server_launch.DATABASE) -> str:
        return f"postgresql://{server_launch.SUPERUSER}@/{database}?host={self.socket_dir}"

    @property
    def socket_dir(self) -> Path:
        return self.files.home / "socket"

    def start(self, **options: str) -> None:
        """Starts it with further options, for this time only, and waits until it answers."""
        self.launch(**options)
        assert locks.wait_until(lambda: self.is_ready() or self.has_ended(), LIMIT_SECONDS)
        assert not self.has_ended(), self.files.log.read_text()

    def launch(self, **options: str) -> None:
        """The same, without the wait."""
        settings = {
            **server_launch.SETTINGS,
            "unix_socket_directories": str(self.socket_dir),
            "shared_buffers": "32MB",
            "fsync": "off",  # no test ends the machine, and recovery would wait for every file
            **self.options,
            **options,
        }
        words = [f"-c{name}={value}" for name, value in settings.items()]
        call = [str(server_launch.programs() / "postgres"), "-D", str(self.files.data), *words]
        with self.files.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, *call],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                **({} if self.wrapper else self.account.runs_as),
            )

    def is_ready(self) -> bool:
        """Whether it answers, if only as a standby."""
        try:
            lines = ((self.seen_at or self.files.data) / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[7].strip() in ("ready", "standby")

    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def stop(self, how: signal.Signals = FAST) -> None:
        """Stops it: FAST as a restart of the service does, IMMEDIATE as a power cut would."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            self.process.send_signal(how)
        self.process.wait(LIMIT_SECONDS)
        self.process = None


@contextmanager
def empty_home() -> Iterator[Path]:
    """Gives a folder with a short path that every user may enter."""
    home = Path(mkdtemp(prefix="sluice-server-"))
    home.chmod(0o755)
    yield home
    shutil.rmtree(home)


def make_socket_dir(server: Server) -> None:
    server.socket_dir.mkdir(mode=0o700)
    server.account.own(server.socket_dir)


@contextmanager
def made(**options: str) -> Iterator[Server]:
    """Makes a server with an empty database; it is not started, and gone after the block."""
    with empty_home() as home:
        files = Cluster(home)
        account = choose_account(files.data)
        with locks.held(files.server_lock, LIMIT_SECONDS) as lock:
            server_launch.check_programs(files, account, lock)
            server_launch.make_data(files, account, lock)
        server = Server(files, account, options)
        make_socket_dir(server)
        try:
            yield server
        finally:
            server.stop(IMMEDIATE)


@contextmanager
def on_a_small_disk(original: Server, free_bytes: int) -> Iterator[Server]:
    """Gives a copy of a server, both stopped, on a file system of its own with that much room.

    The file system is memory, mounted in a namespace that ends with the block. Raises
    PermissionError where the machine does not let us mount.
    """
    used_bytes = sum(path.stat().st_blocks * 512 for path in original.files.data.rglob("*"))
    with empty_home() as home:
        data = home / "data"
        data.mkdir()
        size = used_bytes + free_bytes
        mount = f"mount -t tmpfs -o size={size},mode=700 none {data} && echo mounted && exec cat"
        holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation=private", "sh", "-c", mount],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert holder.stdout
            if holder.stdout.readline() != "mounted\n":
                raise PermissionError(f"no file system can be mounted: {holder.communicate()[1]}")
            yield copied(original, home, holder.pid)
        finally:
            holder.communicate()


def copied(original: Server, home: Path, holder_pid: int) -> Server:
    """Gives a server on a copy of another's data, in the namespace of that program."""
    account = original.account
    seen_at = Path(f"/proc/{holder_pid}/root{home}/data")
    subprocess.run(["cp", "-a", f"{original.files.data}/.", str(seen_at)], check=True)
    account.own(seen_at)
    enter = ("nsenter", f"--target={holder_pid}", "--mount", "--")
    become = ("setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--")
    server = Server(Cluster(home), account, original.options, (*enter, *become), seen_at)
    make_socket_dir(server)
    return server
