"""Runs `python -m app ...` as people do: a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from app.settings import Settings
from tests.warm_start import WarmProcess, is_measured

PROJECT = Path(__file__).parents[2]
SECONDS = 60


def outside_environment() -> dict[str, str]:
    """The environment without any of Sluice's settings, with the project to be found."""
    ours = {name.upper() for name in Settings.model_fields} | {"DB_STRING", "DB_STRING_ASYNC"}
    ours.add("COLUMNS")
    kept = {name: value for name, value in os.environ.items() if name.upper() not in ours}
    return {**kept, "PYTHONPATH": str(PROJECT)}


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A shell in a folder, with settings in its environment."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def imports(self) -> Path:
        return self.folder / "imports"

    def environment(self, **more: str) -> dict[str, str]:
        return {**outside_environment(), **self.settings, **more}

    def run(self, *words: str | Path, **more: str) -> Ended:
        """Runs one command to its end; more: further settings."""
        ended = self._run([*map(str, words)], self.environment(**more))
        assert "Traceback" not in ended.err, ended.err
        return ended

    def _run(self, words: list[str], environment: dict[str, str]) -> Ended:
        is_other_version = environment["PYTHONPATH"] != str(PROJECT)
        if is_other_version or is_measured():
            ended = subprocess.run(
                [sys.executable, "-m", "app", *words],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
            return Ended(ended.returncode, ended.stdout, ended.stderr)
        with TemporaryDirectory(prefix="sluice-said-") as said:
            out, err = Path(said) / "out", Path(said) / "err"
            process = WarmProcess(words, environment, self.folder, out, err)
            if not process.is_over(SECONDS):
                process.send_signal(signal.SIGKILL)
                process.is_over(SECONDS)
            code = process.returncode
            return Ended(-signal.SIGKILL if code is None else code, read(out), read(err))

    def start(self, *words: str | Path, **more: str) -> subprocess.Popen[str]:
        """Starts a command that goes on until it is told to stop."""
        return subprocess.Popen(
            [sys.executable, "-m", "app", *map(str, words)],
            cwd=self.folder,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def write(self, name: str, text: str) -> Path:
        """Writes a file below the folder, such as `imports/x.csv`."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def at(folder: Path, database_url: str | None = None) -> CommandLine:
    """A shell with empty folders of its own."""
    shell = CommandLine(folder, {"DATABASE_URL": database_url} if database_url else {})
    shell.imports.mkdir(exist_ok=True)
    return shell


def at_a_terminal(shell: CommandLine, *words: str | Path) -> str:
    """Runs a command at a terminal of 80 columns and gives all it wrote there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "app", *map(str, words)],
        cwd=shell.folder,
        env=shell.environment(TERM="xterm", COLUMNS="80"),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux says so when the other side is closed
                break
            written += part
        os.close(ours)
        assert process.wait(timeout=60) == 0
    return written.decode()
