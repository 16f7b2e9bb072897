"""Migrating a database in use: locks, two at once, other names, changed views, a start anew."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.script import ScriptDirectory

from app.settings import Settings
from app.store import migrate
from tests.migration import catalogue

Ended = subprocess.CompletedProcess[str]

PROJECT = Path(__file__).parents[2]
HEAD, BELOW = [
    script.revision
    for script in ScriptDirectory.from_config(
        migrate.alembic_config(Settings(), "")
    ).walk_revisions()
][:2]
OTHER_NAMES = {"STAGING_SCHEMA": "landing", "DW_SCHEMA": "lake"}
LOCK_TIMEOUT_ERROR = (
    "Another session holds a lock that this needs; `SELECT * FROM pg_locks` shows whose"
    " (canceling statement due to lock timeout)"
)

# When each view was last written, by PostgreSQL's own account.
VIEWS_WRITTEN = """
    SELECT c.relname, r.oid, r.xmin::text
    FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
    WHERE c.relnamespace::regnamespace::text = ANY($1)
    ORDER BY 1
"""


def run(folder: Path, *words: str, **settings: str) -> Ended:
    """Runs a Python module from a folder, with no settings but these."""
    names = {name.upper() for name in Settings.model_fields} | {"DB_STRING", "DB_STRING_ASYNC"}
    outside = {name: value for name, value in os.environ.items() if name.upper() not in names}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**outside, "PYTHONPATH": str(PROJECT), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def copy_project(folder: Path) -> Path:
    """The parts of the project that make the schema, in a folder to change them in."""
    for part in ("app", "models", "migrations", "sql"):
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", folder)
    return folder


def run_sql(url: str, script: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(script)
        await connection.close()

    asyncio.run(execute())


def while_an_analyst_reads(url: str, view: str, work: Callable[[], Ended]) -> Ended:
    """Does work while a transaction that has read a view is open."""

    async def read_and_wait() -> Ended:
        analyst = await asyncpg.connect(url)
        async with analyst.transaction():
            await analyst.fetch(f"SELECT * FROM {view}")
            done = await asyncio.to_thread(work)
        await analyst.close()
        return done

    return asyncio.run(read_and_wait())


def test_a_migration_gives_up_while_an_analyst_reads_and_changes_nothing(
    make_database: Callable[..., str], template: str, tmp_path: Path
) -> None:
    of_command, of_alembic = make_database(template), make_database(template)
    run_sql(of_command, "UPDATE ops.view_definition SET sha256 = 'older'")
    before = catalogue.describe(of_command), catalogue.describe(of_alembic)
    views = VIEWS_WRITTEN, list(catalogue.SCHEMAS)
    views_before = catalogue.ask(of_command, *views)

    with ThreadPoolExecutor() as threads:
        by_command = threads.submit(
            while_an_analyst_reads,
            of_command,
            "warehouse.entity_stats_daily",
            lambda: run(tmp_path, "app", "migrate", DATABASE_URL=of_command),
        )
        by_alembic = threads.submit(
            while_an_analyst_reads,
            of_alembic,
            "warehouse.entity_stats_daily",
            lambda: run(PROJECT, "alembic", "downgrade", "base", DATABASE_URL=of_alembic),
        )

    assert by_command.result().returncode == 1
    assert by_command.result().stderr == f"Error: {LOCK_TIMEOUT_ERROR}\n"
    assert by_alembic.result().returncode != 0
    assert by_alembic.result().stdout == f"FAILED: {LOCK_TIMEOUT_ERROR}\n"
    assert by_alembic.result().stderr == ""
    assert (catalogue.describe(of_command), catalogue.describe(of_alembic)) == before
    assert catalogue.ask(of_command, *views) == views_before


def test_two_migrates_at_once_both_end_well(empty_database: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor() as threads:
        ended = list(
            threads.map(
                lambda _: run(tmp_path, "app", "migrate", DATABASE_URL=empty_database), range(3)
            )
        )

    assert [each.stderr for each in ended] == [""] * 3
    assert [each.stdout for each in ended] == [f"The schema is at revision {HEAD}.\n"] * 3
    command.check(migrate.alembic_config(Settings(), empty_database))


def test_alembic_itself_works_from_the_projects_folder(empty_database: str) -> None:
    def alembic(*words: str) -> str:
        ended = run(PROJECT, "alembic", *words, DATABASE_URL=empty_database)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    alembic("upgrade", "head")
    assert alembic("current") == f"{HEAD} (head)\n"
    assert alembic("check") == "No new upgrade operations detected.\n"
    alembic("downgrade", "-1")
    assert alembic("current") == f"{BELOW}\n"
    alembic("upgrade", "head")
    assert alembic("check") == "No new upgrade operations detected.\n"


def test_alembic_says_clearly_what_is_wrong_with_the_settings() -> None:
    ended = run(PROJECT, "alembic", "current", DATABASE_URL="postgresql://localhost:port/x")

    assert ended.returncode != 0
    assert ended.stdout.startswith("FAILED: Wrong settings:\n  DATABASE_URL: ")
    assert ended.stderr == ""


def test_the_schemas_can_have_other_names(empty_database: str) -> None:
    default = migrate.alembic_config(Settings(), empty_database)
    command.upgrade(default, "head")
    renamed = {"ops": "ops", "staging": "landing", "warehouse": "lake"}
    expected = [
        (renamed[schema], name) for schema, name, *_ in catalogue.describe(empty_database)["tables"]
    ]
    command.downgrade(default, "base")
    environment = {"DATABASE_URL": empty_database, **OTHER_NAMES}

    upgraded = run(PROJECT, "alembic", "upgrade", "head", **environment)
    checked = run(PROJECT, "alembic", "check", **environment)

    assert upgraded.returncode == 0, upgraded.stderr
    assert checked.stdout == "No new upgrade operations detected.\n"
    schemas = ("ops", "landing", "lake", "staging", "warehouse")
    found = [row[:2] for row in catalogue.describe(empty_database, schemas)["tables"]]
    assert sorted(found) == sorted(expected)


def test_a_new_migration_is_written_with_names_that_follow_the_settings(
    empty_database: str, tmp_path: Path
) -> None:
    project = copy_project(tmp_path)
    environment = {"DATABASE_URL": empty_database, **OTHER_NAMES, "PYTHONPATH": str(project)}
    assert run(project, "alembic", "upgrade", "head", **environment).returncode == 0
    model = project / "models" / "job_titles.py"
    model.write_text(
        model.read_text()
        + '''

class TitleNote(Base):
    """Notes on titles."""

    __tablename__ = "title_note"
    __table_args__ = ({"schema": WAREHOUSE, "comment": "Notes on titles."},)

    title: Mapped[str] = mapped_column(
        Text, ForeignKey(f"{WAREHOUSE}.job_title.title"), primary_key=True, comment="The title"
    )
'''
    )

    written = run(
        project, "alembic", "revision", "--autogenerate", "-m", "Notes", "--rev-id", "probe",
        **environment,
    )  # fmt: skip

    assert written.returncode == 0, written.stderr
    migration = (project / "migrations" / "versions" / "probe_notes.py").read_text()
    assert "schema=names.warehouse" in migration
    assert "f'{names.warehouse}.job_title.title'" in migration
    assert "lake" not in migration
    assert run(project, "alembic", "upgrade", "head", **environment).returncode == 0
    checked = run(project, "alembic", "check", **environment)
    assert checked.stdout == "No new upgrade operations detected.\n"
    there = "SELECT to_regclass('lake.title_note')::text, to_regclass('warehouse.title_note')::text"
    assert catalogue.ask(empty_database, there) == [("lake.title_note", None)]


def test_only_views_whose_script_changed_are_made_anew(database: str, tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    environment = {"DATABASE_URL": database, "PYTHONPATH": str(project)}
    views = VIEWS_WRITTEN, list(catalogue.SCHEMAS)
    before = catalogue.ask(database, *views)

    assert run(project, "app", "migrate", **environment).returncode == 0
    assert catalogue.ask(database, *views) == before

    script = project / "sql" / "views" / "entity_stats_yearly.sql"
    script.write_text(script.read_text().replace("Calendar year", "The year"))
    assert run(project, "app", "migrate", **environment).returncode == 0
    after = catalogue.ask(database, *views)
    assert [new[0] for old, new in zip(before, after, strict=True) if old != new] == [
        "entity_stats_yearly"
    ]
    comment = "SELECT col_description('warehouse.entity_stats_yearly'::regclass, 1)"
    assert catalogue.ask(database, comment) == [("The year",)]


def test_a_view_that_cannot_be_replaced_says_what_to_do(database: str, tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    script = project / "sql" / "views" / "entity_stats_yearly.sql"
    script.write_text(
        "CREATE OR REPLACE VIEW {warehouse}.entity_stats_yearly AS SELECT 1 AS another;\n"
    )

    ended = run(project, "app", "migrate", DATABASE_URL=database, PYTHONPATH=str(project))

    assert ended.returncode == 2
    assert ended.stderr == (
        "Error: sql/views/entity_stats_yearly.sql cannot replace the view that is there: cannot"
        " drop columns from view. Drop the view in a migration, with migrations.views.drop_views,"
        " and the script makes it again.\n"
    )


@pytest.mark.parametrize("at", ["head", "0002", "a revision that is gone"])
def test_dev_drops_all_tables_and_makes_them_anew(at: str, database: str, tmp_path: Path) -> None:
    at_head = catalogue.describe(database)
    run_sql(
        database,
        """
        INSERT INTO warehouse.loans VALUES ('2023-01-01', 3, 2, 1, '2023-01-02', 1, now());
        CREATE VIEW public.of_an_analyst AS SELECT * FROM warehouse.loans;
        CREATE TABLE public.of_somebody_else (kept integer);
        """,
    )
    if at == "0002":
        command.downgrade(migrate.alembic_config(Settings(), database), at)
    elif at != "head":
        run_sql(database, "UPDATE ops.alembic_version SET version_num = 'gone'")

    ended = run(tmp_path, "app", "migrate", DATABASE_URL=database, DEV="true")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert catalogue.describe(database) == at_head
    assert catalogue.ask(database, "SELECT count(*) FROM warehouse.loans") == [(0,)]
    assert catalogue.ask(database, "SELECT count(*) FROM public.of_somebody_else") == [(0,)]


def test_dev_is_refused_for_a_remote_host(tmp_path: Path) -> None:
    ended = run(
        tmp_path, "app", "migrate", DATABASE_URL="postgresql://me:hush@db.example/x", DEV="true"
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "DEV=true drops all tables" in ended.stderr
    assert "hush" not in ended.stderr
