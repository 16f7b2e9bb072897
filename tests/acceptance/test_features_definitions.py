"""What an activated version of the features gives is fixed; until then it may be edited."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from tests.acceptance.command_line import PROJECT, CommandLine
from tests.acceptance.feature_commands import FIRST, SECOND, done, load, shell_in, sql_hash
from tests.applications import Values, applications_csv, expected
from tests.integration.feature_values import shown

PARTS = ("app", "models", "migrations", "sql")


@pytest.fixture
def shell(tmp_path: Path, database: str) -> CommandLine:
    return shell_in(tmp_path, database)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, for a developer to edit."""
    folder = tmp_path / "project"
    for part in PARTS:
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", folder)
    return folder


@pytest.fixture
def edited(shell: CommandLine, project: Path) -> CommandLine:
    """A shell where `app` is the copy."""
    return CommandLine(shell.folder, {**shell.settings, "PYTHONPATH": str(project)})


def edit(project: Path, version: int, old: str, new: str) -> None:
    path = project / f"sql/features/v{version}.sql"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


async def test_nothing_is_computed_once_the_definition_of_an_activated_version_was_edited(
    shell: CommandLine, edited: CommandLine, project: Path, sql: asyncpg.Connection
) -> None:
    load(shell, "first", FIRST)
    done(shell.run("features", "activate", "1"))
    edit(project, 0, "RANGE 49 PRECEDING", "RANGE 39 PRECEDING")
    path = shell.write("rejected_second.csv", applications_csv(SECOND).decode())

    for words in (
        ("migrate",),
        ("load", path, "--force"),
        ("features", "activate", "2"),
        ("features", "backfill", "1"),
        ("features", "rollback"),
    ):
        ended = edited.run(*words, INIT_DB="false")
        assert (ended.code, ended.out) == (2, ""), words
        assert len(ended.err.splitlines()) == 1
        assert sql_hash(0) in ended.err
        assert sql_hash(0, project) in ended.err

    assert done(edited.run("features", "list")) == done(shell.run("features", "list"))
    assert await sql.fetchval("SELECT count(*) FROM warehouse.risk_score") == len(FIRST)
    edit(project, 0, "RANGE 39 PRECEDING", "RANGE 49 PRECEDING")
    done(edited.run("load", path))
    assert await shown(sql, 1) == expected(1, [FIRST, SECOND])[130:]


async def test_a_version_may_be_edited_until_it_is_activated_and_loses_its_values_then(
    shell: CommandLine, edited: CommandLine, project: Path, sql: asyncpg.Connection
) -> None:
    load(shell, "first", FIRST)
    done(shell.run("features", "backfill", "1"))
    done(shell.run("features", "backfill", "2"))
    edit(project, 1, "RANGE 99 PRECEDING", "RANGE 0 PRECEDING")

    for words in (("activate", "1"), ("backfill", "1")):
        ended = edited.run("features", *words)
        assert ended.code == 2
        assert ended.err == (
            "Error: Version 1 of the risk-score features is registered with the definition"
            f" {sql_hash(1)}, but sql/features/v1.sql is {sql_hash(1, project)}; run"
            " `python -m app migrate`\n"
        )
    done(edited.run("migrate"))
    assert (await shown(sql, 1), await shown(sql, 2)) == ([], expected(2, [FIRST]))
    done(edited.run("features", "backfill", "1"))
    assert await shown(sql, 1) == with_the_latest_score(expected(1, [FIRST]))
    done(edited.run("features", "activate", "1"))
    assert shell.run("features", "rollback").code == 2


def with_the_latest_score(values: Sequence[Values]) -> list[Values]:
    """What version 1 shows where its ma100 is the mean of one score only."""
    latest: str | None = None
    shown_values = []
    scores = {row.number: row.score for row in FIRST}
    for number, ma50, _ in values:
        latest = f"{Decimal(scores[number]):.6f}" if scores[number] else latest
        shown_values.append((number, ma50, latest))
    return shown_values
