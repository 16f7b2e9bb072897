"""The command line's manners: help, exit codes, and errors that say what to do, without traces."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from app.cli import cli
from app.store import embedded
from tests.acceptance import command_line
from tests.acceptance.command_line import PROJECT, CommandLine

COMMANDS = sorted(cli.commands)
NEEDS_TABLES = [
    ("status",),
    ("status", "--json"),
    ("rejects", "1"),
    ("rejects", "1", "--csv"),
    ("replay", "1"),
    ("refresh",),
    ("export",),
]


@pytest.fixture
def shell(tmp_path: Path, database: str) -> CommandLine:
    """A folder with a migrated database."""
    return command_line.at(tmp_path, database)


@pytest.fixture
def bare_shell(tmp_path: Path, empty_database: str) -> CommandLine:
    """A folder with a database that has no tables."""
    return command_line.at(tmp_path, empty_database)


def add_rule(rules: Path) -> None:
    rules.write_text(f"local all reader scram-sha-256\n{rules.read_text()}")


@pytest.fixture(scope="module")
def locked_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server where the role `reader` needs the password `right`."""
    folder = tmp_path_factory.mktemp("locked")
    with embedded.start(folder) as server:

        async def ask_for_passwords() -> None:
            connection = await asyncpg.connect(server.url)
            await connection.execute("CREATE ROLE reader LOGIN PASSWORD 'right'")
            add_rule(Path(await connection.fetchval("SHOW hba_file")))
            await connection.execute("SELECT pg_reload_conf()")
            await connection.close()

        asyncio.run(ask_for_passwords())
        yield server.url.replace("postgres@", "reader:{password}@")


def test_every_command_has_help_that_says_what_it_gives(shell: CommandLine) -> None:
    overview = shell.run("--help", COLUMNS="200").out

    for name in COMMANDS:
        command = cli.whole(name)
        first_line = (command.help or "").splitlines()[0]
        assert first_line.endswith((".", ";")), name
        assert re.search(rf"│ {name} +{re.escape(first_line)}", overview), name
        for option in command.params:
            assert getattr(option, "help", None), (name, option.name)


def test_the_readme_lists_exactly_the_commands() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    table = readme.split("## Commands")[1].split("\n## ")[0]

    assert sorted(re.findall(r"^\| `(\w+)", table, re.MULTILINE)) == COMMANDS


def test_help_of_one_command_ends_well(shell: CommandLine) -> None:
    shown = shell.run("load", "--help")

    assert shown.code == 0
    assert "--pipeline" in shown.out
    assert "--force" in shown.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Usage: python -m app"),
        (("nonsense",), "No such command 'nonsense'"),
        (("load",), "Missing argument"),
        (("rejects", "one"), "Invalid value"),
        (("export", "--year", "2023", "--month", "13"), "Invalid value for '--month'"),
        (("export", "--month", "3"), "--month needs --year"),
        (("rejects", "7"), "There is no load 7; `status` lists the latest ones"),
        (("rejects", "7", "--csv"), "There is no load 7; `status` lists the latest ones"),
        (("replay", "7"), "There is no load 7; `status` lists the latest ones"),
        (
            ("load", "--pipeline", "visits", "x.csv"),
            "There is no pipeline 'visits'; there are entity, job_titles, loans, risk_scores",
        ),
        (("load", "--years", "07", "rejected.csv"), "Invalid value for '--years'"),
        (("load", "--years", "2009-2008", "rejected.csv"), "Invalid value for '--years'"),
        (
            ("load", "--years", "2007", "loans.csv"),
            "--years is not for loans, whose files are loaded whole",
        ),
    ],
)
def test_wrong_usage_is_2_and_says_what_is_wrong(
    words: tuple[str, ...], said: str, shell: CommandLine
) -> None:
    ended = shell.run(*words)

    assert ended.code == 2
    assert said in (ended.err if words else ended.out)
    assert not words or ended.out == ""


def test_wrong_settings_are_2_each_with_its_line(shell: CommandLine) -> None:
    ended = shell.run("status", WORKERS="many", SWEEP_SECONDS="0")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "Error: Wrong settings:\n"
        "  WORKERS: Input should be a valid integer, unable to parse string as an integer"
        " (found 'many')\n"
        "  SWEEP_SECONDS: Input should be greater than 0 (found '0')\n"
    )


@pytest.mark.parametrize("words", NEEDS_TABLES)
def test_a_database_without_tables_is_2_and_names_the_command_that_makes_them(
    words: tuple[str, ...], bare_shell: CommandLine
) -> None:
    ended = bare_shell.run(*words)

    assert ended.code == 2
    assert "run `python -m app migrate`" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_migrate_makes_the_tables_and_says_the_revision(bare_shell: CommandLine) -> None:
    migrated = bare_shell.run("migrate")

    assert (migrated.code, migrated.err) == (0, "")
    assert re.fullmatch(r"The schema is at revision \d{4}\.\n", migrated.out)
    assert bare_shell.run("status").code == 0
    assert bare_shell.run("migrate") == migrated


@pytest.mark.parametrize("words", [("status",), ("load", "imports/loans.csv"), ("migrate",)])
def test_a_database_that_does_not_answer_is_3(words: tuple[str, ...], shell: CommandLine) -> None:
    shell.write("imports/loans.csv", "x\n")

    ended = shell.run(*words, DATABASE_URL="postgresql://me:hush@127.0.0.1:1/lake")

    assert ended.code == 3
    assert ended.err.startswith("Error: The database cannot be reached: ")
    assert "hush" not in ended.err
    assert (shell.imports / "loans.csv").exists()


def test_a_database_that_refuses_is_2(
    locked_server: str, server_url: str, shell: CommandLine
) -> None:
    wrong = shell.run("status", DATABASE_URL=locked_server.format(password="wrong"))
    absent = shell.run("status", DATABASE_URL=re.sub(r"/\w+(\?|$)", r"/no_such\1", server_url))

    assert wrong.code == 2
    assert wrong.err == (
        'Error: The database refuses: password authentication failed for user "reader"\n'
    )
    assert absent.code == 2
    assert absent.err == 'Error: The database refuses: database "no_such" does not exist\n'


def test_refresh_and_export_say_what_they_changed(shell: CommandLine) -> None:
    shell.run("sample")
    files = sorted(shell.imports.glob("[!.]*"))
    assert shell.run("load", *files).code == 0

    refreshed, exported = shell.run("refresh"), shell.run("export")

    assert (refreshed.code, exported.code) == (0, 0)
    assert "derived tables refreshed" in refreshed.out
    assert "entity_daily=59" in refreshed.out
    written = len(list((shell.folder / "exports").rglob("*.csv")))
    assert f"written={written} " in exported.out
    assert "written=0 " in shell.run("export").out


def test_sample_writes_a_file_of_every_feed(shell: CommandLine) -> None:
    ended = shell.run("sample")

    assert ended.code == 0
    written = sorted(str(path.relative_to(shell.folder)) for path in shell.imports.iterdir())
    assert ended.out.split() == written
    for feed in ("entity", "job_titles", "loans", "rejected"):
        assert any(feed in name for name in written)


def test_a_file_that_cannot_be_moved_is_1_and_no_fault_of_the_database(shell: CommandLine) -> None:
    shell.write("imports/loans.csv", "repayment_date,loans,defaults,liquidations\n2022-01-01,3,1,1")
    shell.write("imports/.archive", "a file, where a folder has to be")

    ended = shell.run("load", "imports/loans.csv")

    assert ended.code == 1
    assert ended.err.startswith("Error: loans.csv cannot be moved: ")
    assert (shell.imports / "loans.csv").exists()


def test_statements_are_shown_once_and_never_in_what_programs_read(shell: CommandLine) -> None:
    ended = shell.run("status", "--json", ECHO_SQL="true")

    assert (ended.code, json.loads(ended.out)["files"]) == (0, [])
    assert ended.err.count("FROM ops.file_status") == 1


def test_the_help_of_migrate_warns_of_dev(tmp_path: Path) -> None:
    ended = command_line.at(tmp_path).run("migrate", "--help")

    assert ended.code == 0
    assert "with DEV=true, drops all tables and rows first" in " ".join(ended.out.split())
