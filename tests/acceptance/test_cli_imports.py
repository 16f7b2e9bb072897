"""Commands import what they need and no more: most of a quick command's time is its imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance import command_line
from tests.acceptance.command_line import CommandLine

# Each takes 50 ms and more.
FOR_LOADS = {
    *("alembic", "dataframely", "inotify_simple", "pgpq", "polars", "pyarrow"),
    *("sqlalchemy", "watchfiles"),
}


@pytest.fixture
def shell(tmp_path: Path, database: str) -> CommandLine:
    """A folder with a migrated database."""
    return command_line.at(tmp_path, database)


def imported_by(shell: CommandLine, *words: str) -> set[str]:
    """The modules that a command imports from its start to its end, and their packages."""
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "app", *words],
        cwd=shell.folder,
        env=shell.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = [line for line in ended.stderr.splitlines() if line.startswith("import time:")]
    modules = {line.rsplit("|", 1)[1].strip() for line in lines}
    return modules | {module.split(".")[0] for module in modules}


def test_help_imports_neither_what_reads_files_nor_what_reads_databases(
    shell: CommandLine,
) -> None:
    imported = imported_by(shell, "--help")

    assert "typer" in imported
    assert not imported & (FOR_LOADS | {"asyncpg", "pydantic_settings", "structlog"})


@pytest.mark.parametrize("command", ["refresh", "export"])
def test_refresh_and_export_import_nothing_that_only_loads_need(
    command: str, shell: CommandLine
) -> None:
    shell.run("sample")
    assert shell.run("load", *sorted(shell.imports.glob("[!.]*"))).code == 0

    with_news = imported_by(shell, "refresh") | imported_by(shell, command)
    without_news = imported_by(shell, command)

    assert "asyncpg" in with_news & without_news
    assert not (with_news | without_news) & (FOR_LOADS | {"rich.console"})


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("rejects", "1")])
def test_questions_import_nothing_that_only_loads_need(
    words: tuple[str, ...], shell: CommandLine
) -> None:
    file = shell.folder / "loans.csv"
    file.write_text(
        "repayment_date,loans,defaults,liquidations\n2023-01-01,5,1,1\n2023-01-02,x,1,1\n"
    )
    assert shell.run("load", file, MAX_REJECTED_RATIO="0.5").code == 0

    imported = imported_by(shell, *words)

    assert "asyncpg" in imported
    assert not imported & FOR_LOADS
