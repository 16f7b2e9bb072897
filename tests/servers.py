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

from app.store import cluster, locks, server_launch
from app.store.cluster import Cluster
from app.store.server_account import Account, choose_account

LIMIT_SECONDS = 30
FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT


@dataclass
class Server:
    """One data folder, and the server on it while it is up.

    wrapper: the words before the server's own call, such as those of another mount namespace.
    """

    files: Cluster
    account: Account
    wrapper: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    options: dict[str, str] = field(default_factory=dict)

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
        return cluster.is_ready(self.files)

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
def made() -> Iterator[Server]:
    """Makes a server with an empty database; it is not started, and gone after the block."""
    home = Path(mkdtemp(prefix="sluice-server-"))
    home.chmod(0o755)
    files = Cluster(home)
    account = choose_account(files.data)
    with locks.held(files.server_lock, LIMIT_SECONDS) as lock:
        server_launch.check_programs(files, account, lock)
        server_launch.make_data(files, account, lock)
    server = Server(files, account)
    server.socket_dir.mkdir(mode=0o700)
    account.own(server.socket_dir)
    try:
        yield server
    finally:
        server.stop(IMMEDIATE)
        shutil.rmtree(home)
