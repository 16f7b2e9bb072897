"""One embedded PostgreSQL as it runs: its files, and how it is found, awaited and stopped.

Callers hold the start lock (see `embedded.py`), so nothing here meets itself. The server's own
programs hold `server.lock`, inherited from the command that launched them: while any of them
lives the lock is taken, and once it is free whatever they left behind is stale.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import structlog

from app.errors import DatabaseUnreachableError
from app.store import locks

LOG_TAIL_LINES = 10

READY_SECONDS = 600  # replaying 4 GB of WAL after a crash
VANISH_SECONDS = 3  # idle children of a killed server notice and leave at once
KILL_SECONDS = 60
STOP_SECONDS = 120  # the last checkpoint
ABORT_SECONDS = 10

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The files of one embedded server, all below `home`, which is absolute."""

    home: Path

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def server_lock(self) -> Path:
        return self.home / "server.lock"

    @property
    def label(self) -> str:
        """Names the server by its data folder's number, which no two living folders share.

        A server whose folder was removed under it deletes its socket once it notices; under
        another name it cannot hit its successor's.
        """
        status = self.data.stat()
        return f"sluice-{status.st_dev:x}-{status.st_ino:x}"


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What a running server says of itself in postmaster.pid."""

    pid: int
    socket_dir: Path
    is_ready: bool


def is_down(cluster: Cluster) -> bool:
    return locks.is_free(cluster.server_lock)


def postmaster(cluster: Cluster) -> Postmaster | None:
    """Gives the living server of the data folder, None when there is none."""
    try:
        lines = (cluster.data / "postmaster.pid").read_text().splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    if f" -D {cluster.data} " not in f"{command_line(pid)} ":
        return None
    is_ready = len(lines) > 7 and lines[7].strip() == "ready"
    return Postmaster(pid, Path(lines[4] if len(lines) > 4 else ""), is_ready)


def command_line(pid: int) -> str:
    """Gives a program's call, its words parted by blanks; nothing for one that has ended."""
    if Path("/proc/self/cmdline").exists():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return os.fsdecode(words.replace(b"\0", b" "))
    call = ["/bin/ps", "-o", "args=", "-p", str(pid)]
    shown = subprocess.run(call, capture_output=True, text=True, check=False)  # noqa: S603 - a pid
    return shown.stdout.strip()


def find_server(cluster: Cluster) -> Postmaster | None:
    """Gives the living server, ready or not, once it is certain which of the two it is.

    After a kill of the server alone its children may work on; they are ended, for no server can
    start beside them. Raises DatabaseUnreachableError when that fails.
    """

    def is_certain() -> bool:
        return is_down(cluster) or postmaster(cluster) is not None

    if not locks.wait_until(is_certain, VANISH_SECONDS):
        for pid in orphans(cluster):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not locks.wait_until(is_certain, KILL_SECONDS):
            raise DatabaseUnreachableError(
                f"The PostgreSQL server of {cluster.home} was killed, and programs it started are"
                f" still at work. End them: fuser -k {cluster.server_lock}"
            )
    return None if is_down(cluster) else postmaster(cluster)


def orphans(cluster: Cluster) -> list[int]:
    """Gives the children of a killed server, found by their titles (only where /proc is there)."""
    if not cluster.data.exists():
        return []
    title = f"postgres: {cluster.label}: "
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if command_line(pid).startswith(title)]


def wait_until_ready(cluster: Cluster) -> Path:
    """Gives the folder of the server's socket once it answers; replays a crash's WAL meanwhile.

    Raises DatabaseUnreachableError with the end of the server's log when it does not come up.
    """
    if locks.wait_until(lambda: is_ready(cluster) or is_down(cluster), READY_SECONDS):
        server = postmaster(cluster)
        if server and server.is_ready:
            return server.socket_dir
    text = cluster.log.read_text(errors="replace") if cluster.log.exists() else ""
    raise DatabaseUnreachableError(
        f"The embedded PostgreSQL in {cluster.home} does not come up. The end of its log"
        f" ({cluster.log}):\n{tail(text)}"
    )


def is_ready(cluster: Cluster) -> bool:
    server = postmaster(cluster)
    return server is not None and server.is_ready


def tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-LOG_TAIL_LINES:])


def stop(cluster: Cluster) -> None:
    """Stops the server, if one runs, and waits until the last of its programs is gone."""
    server = find_server(cluster)
    if server is None:
        return
    for how, limit_seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, ABORT_SECONDS)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.pid, how)
        if locks.wait_until(lambda: is_down(cluster), limit_seconds):
            break
    else:
        logger.warning("embedded server does not stop", pid=server.pid, folder=str(cluster.home))
        return
    with contextlib.suppress(OSError):
        server.socket_dir.rmdir()
