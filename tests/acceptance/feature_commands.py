"""Commands about features as people type them, on files of applications made here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from tests.acceptance import command_line
from tests.acceptance.command_line import PROJECT, CommandLine, Ended
from tests.applications import Application, applications_csv, some_applications

FIRST = some_applications(130, seed=1)
SECOND = some_applications(140, seed=2, first=131)
THIRD = some_applications(150, seed=3, first=271)


def shell_in(folder: Path, database: str) -> CommandLine:
    """A shell beside the folders of the test's settings."""
    own = folder / "shell"
    own.mkdir()
    return command_line.at(own, database)


def load(shell: CommandLine, name: str, rows: Sequence[Application]) -> Ended:
    path = shell.folder / f"rejected_{name}.csv"
    path.write_bytes(applications_csv(rows))
    return shell.run("load", path)


def done(ended: Ended) -> str:
    assert (ended.code, ended.err) == (0, "")
    return ended.out


def cells(text: str) -> list[list[str]]:
    """The cells of each line, whatever the widths of columns."""
    lines = [line for line in text.splitlines() if line.strip(" ─")]
    return [re.split(r" {2,}", line.strip()) for line in lines]


def sql_hash(version: int, project: Path = PROJECT) -> str:
    return hashlib.sha256((project / f"sql/features/v{version}.sql").read_bytes()).hexdigest()
