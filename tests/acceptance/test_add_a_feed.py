"""Adding a feed takes four files and nothing else: those of docs/adding-a-feed, really added."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from alembic.script import ScriptDirectory

from app.settings import Settings
from app.store import migrate
from tests.acceptance import command_line
from tests.acceptance.command_line import PROJECT, CommandLine, Ended

FEED = PROJECT / "docs" / "adding-a-feed"
PARTS = ("app", "models", "migrations", "sql")
FIRST_FILE = """Date,Shop,Number of Visitors
2023-05-01,Harbour,412
2023-05-01,Old Town,380
2023-05-02,Harbour,many
2023-05-02,,12
2023-05-03,Harbour,-1
2023-05-04,Harbour,377
2023-05-04,Harbour,378
"""
SECOND_FILE = """shop;visitors;day
Harbour;412;2023-05-01
Old Town;381;2023-05-01
Harbour;402;2023-05-05
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with three of the four files in their places."""
    folder = tmp_path / "project"
    for part in PARTS:
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", folder)
    shutil.copy(FEED / "visits_pipeline.py", folder / "app" / "pipelines" / "visits.py")
    shutil.copy(FEED / "visits_model.py", folder / "models" / "visits.py")
    shutil.copy(FEED / "visits_merge.sql", folder / "sql" / "merge" / "visits.sql")
    return folder


@pytest.fixture
def shell(project: Path, tmp_path: Path, empty_database: str) -> CommandLine:
    """A folder to work in, with an empty database, where `app` is the copy."""
    shell = command_line.at(tmp_path, empty_database)
    shell.settings["PYTHONPATH"] = str(project)
    return shell


def head() -> str:
    found = ScriptDirectory.from_config(migrate.alembic_config(Settings(), "")).get_current_head()
    assert found
    return found


def add_migration(project: Path) -> None:
    """Puts the migration in its place, after the newest one there is."""
    text = (FEED / "visits_migration.py").read_text(encoding="utf-8")
    text = re.sub(r'^revision = ".*"$', 'revision = "visits"', text, flags=re.MULTILINE)
    after = f'down_revision = "{head()}"'
    text = re.sub(r'^down_revision = ".*"$', after, text, flags=re.MULTILINE)
    (project / "migrations" / "versions" / "visits.py").write_text(text, encoding="utf-8")


def alembic(project: Path, shell: CommandLine, *words: str) -> Ended:
    ended = subprocess.run(
        [sys.executable, "-m", "alembic", *words],
        cwd=project,
        env=shell.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def functions(migration: str) -> list[str]:
    """What a migration does, whatever its layout."""
    found = [node for node in ast.parse(migration).body if isinstance(node, ast.FunctionDef)]
    return [ast.dump(node) for node in found]


async def test_four_files_make_a_feed(
    shell: CommandLine, project: Path, empty_database: str
) -> None:
    add_migration(project)
    migrated = shell.run("migrate")
    assert (migrated.code, migrated.out) == (0, "The schema is at revision visits.\n")
    assert alembic(project, shell, "check").out == "No new upgrade operations detected.\n"

    first = shell.run(
        "load", shell.write("imports/visits_may.csv", FIRST_FILE), MAX_REJECTED_RATIO="0.5"
    )
    assert first.out == (
        "visits_may.csv: loaded as load 1: 7 rows read, 3 inserted, 0 updated, 0 unchanged,"
        " 0 deleted, 3 rejected, 1 repeated\n"
    )
    second = shell.run("load", shell.write("imports/visits/late.csv", SECOND_FILE))
    assert second.out == (
        "late.csv: loaded as load 2: 3 rows read, 1 inserted, 1 updated, 1 unchanged,"
        " 0 deleted, 0 rejected, 0 repeated\n"
    )

    connection = await asyncpg.connect(empty_database)
    rows = await connection.fetch(
        "SELECT day::text, shop, visitors, load_id FROM warehouse.visits ORDER BY day, shop"
    )
    staged = await connection.fetchval("SELECT count(*) FROM staging.visits")
    await connection.close()
    assert [tuple(row) for row in rows] == [
        ("2023-05-01", "Harbour", 412, 1),
        ("2023-05-01", "Old Town", 381, 2),
        ("2023-05-04", "Harbour", 378, 1),
        ("2023-05-05", "Harbour", 402, 2),
    ]
    assert staged == 0
    assert shell.run("rejects", "1").out.splitlines() == [
        "line 4, visitors: 'many' is not a whole number that fits 64 bits",
        "    2023-05-02,Harbour,many",
        "line 5, shop: is empty, a value is needed",
        "    2023-05-02,,12",
        "line 6, visitors: '-1' is below 0",
        "    2023-05-03,Harbour,-1",
    ]
    files = json.loads(shell.run("status", "--json").out)["files"]
    assert [(file["file_name"], file["pipeline"]) for file in files] == [
        ("late.csv", "visits"),
        ("visits_may.csv", "visits"),
    ]


def test_the_new_migration_goes_down_and_up_again(shell: CommandLine, project: Path) -> None:
    add_migration(project)

    for words in (("upgrade", "head"), ("downgrade", "-1"), ("upgrade", "head")):
        assert alembic(project, shell, *words).code == 0
    assert alembic(project, shell, "check").out == "No new upgrade operations detected.\n"


def test_alembic_writes_the_migration_that_is_shown(shell: CommandLine, project: Path) -> None:
    assert alembic(project, shell, "upgrade", "head").code == 0

    written = alembic(
        project, shell, "revision", "--autogenerate", "-m", "Visits", "--rev-id", "visits"
    )

    assert written.code == 0, written.err
    migration = (project / "migrations" / "versions" / "visits_visits.py").read_text()
    assert functions(migration) == functions((FEED / "visits_migration.py").read_text())
    assert f"down_revision = '{head()}'" in migration


def test_the_page_names_the_four_files_and_nothing_else() -> None:
    page = (FEED / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| \[`(\S+)`\]\(\1\)", page, re.MULTILINE))

    assert named == {path.name for path in FEED.iterdir() if path.name.startswith("visits_")}
    assert len(named) == 4
