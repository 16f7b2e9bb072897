"""The embedded PostgreSQL: started by the first command that needs it, stopped with the last.

Serves the flow's database where no DATABASE_URL is set. The folder (EMBEDDED_DIR) holds:

    data/         the database         log          what the server says
    start.lock    held while a command starts, joins or leaves the server
    users.lock    shared by every command that uses the server
    server.lock   held by the server's own programs
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from app.errors import ConfigError
from app.store import cluster, locks, server_launch
from app.store.cluster import Cluster
from app.store.server_account import choose_account, user_name

START_SECONDS = cluster.READY_SECONDS + cluster.KILL_SECONDS


class EmbeddedServer:
    """This command's share in the server; `stop` (or the end of the block) gives it back."""

    def __init__(self, files: Cluster, socket_dir: Path, users_lock: int) -> None:
        self._files = files
        self._socket_dir = socket_dir
        self._users_lock = users_lock
        self._pid = os.getpid()
        self._is_stopped = False

    @property
    def url(self) -> str:
        """Gives the address, for asyncpg, SQLAlchemy (with its driver's name) and psql alike."""
        host = quote(str(self._socket_dir))
        user, database = server_launch.SUPERUSER, server_launch.DATABASE
        return f"postgresql://{user}@/{database}?host={host}"

    @property
    def psql_command(self) -> str:
        """Gives a line to paste into a shell; it works while any command keeps the server up."""
        psql = shutil.which("psql") and "psql"
        return shlex.join([psql or str(server_launch.programs() / "psql"), self.url])

    def stop(self) -> None:
        """Gives the share back, and stops the server if nobody else has one; blocks meanwhile.

        Does nothing the second time, and in a fork, whose parent still uses the server.
        """
        if self._is_stopped or os.getpid() != self._pid:
            return
        self._is_stopped = True
        with contextlib.ExitStack() as stack:
            # A folder removed meanwhile stops its server by itself.
            if self._files.home.exists():
                stack.enter_context(locks.held(start_lock(self._files), START_SECONDS))
            leave(self._files, self._users_lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start(embedded_dir: Path) -> EmbeddedServer:
    """Gives a share in the running server of the folder; makes and starts what is missing.

    Blocks, for minutes after a crash. Raises ConfigError when the folder, the user or the
    platform cannot work, DatabaseUnreachableError when the server does not come up.
    """
    files = Cluster(embedded_dir.resolve())
    if (files.home / "PG_VERSION").exists():
        raise ConfigError(
            f"{files.home} is the data folder of another PostgreSQL server. Name a folder of its"
            " own in EMBEDDED_DIR, or start that server and set DATABASE_URL."
        )
    try:
        files.home.mkdir(parents=True, exist_ok=True)
        with locks.held(start_lock(files), START_SECONDS):
            return share(files)
    except OSError as error:
        raise ConfigError(
            f"The embedded PostgreSQL cannot use {files.home} as {user_name(os.geteuid())}:"
            f" {error}. Name a folder that this user may write in EMBEDDED_DIR, or set"
            " DATABASE_URL to a server of your own."
        ) from error


def share(files: Cluster) -> EmbeddedServer:
    """Counts this command among the users and has a server run; the caller holds the start lock."""
    users_lock = locks.open_lock(users_lock_path(files))
    locks.take(users_lock, fcntl.LOCK_SH)
    try:
        account = choose_account(files.data)
        if cluster.find_server(files) is None:
            server_launch.launch(files, account)
        return EmbeddedServer(files, cluster.wait_until_ready(files), users_lock)
    except BaseException:
        leave(files, users_lock)
        raise


def leave(files: Cluster, users_lock: int) -> None:
    """Counts this command out, and stops the server if it was the last; under the start lock."""
    # Said aloud: a program being launched just now may hold a copy of the descriptor.
    fcntl.flock(users_lock, fcntl.LOCK_UN)
    os.close(users_lock)
    if files.home.exists() and locks.is_free(users_lock_path(files)):
        cluster.stop(files)


def start_lock(files: Cluster) -> Path:
    return files.home / "start.lock"


def users_lock_path(files: Cluster) -> Path:
    return files.home / "users.lock"
