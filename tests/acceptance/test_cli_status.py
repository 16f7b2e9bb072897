"""`status`: every file that waits or was loaded, and how fresh the tables are."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from pathlib import Path

import pytest

from tests.acceptance import command_line
from tests.acceptance.command_line import CommandLine

LOANS = "repayment_date,loans,defaults,liquidations\n2023-01-01,9,3,2\n2023-01-02,9,3,2\n"
TITLES = "title,pdl_count,related\nbaker,3,bread\nbaker,4,cake\n"
DOWN = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
def shell(tmp_path: Path, database: str) -> CommandLine:
    return command_line.at(tmp_path, database)


def lines_of(text: str) -> list[str]:
    """The lines as they read, whatever the widths of columns."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip(" ─")]


def test_an_empty_database_says_that_nothing_happened_yet(shell: CommandLine) -> None:
    shown = shell.run("status")

    assert (shown.code, shown.err) == (0, "")
    assert lines_of(shown.out) == [
        "Files",
        "None so far: drop one into imports/.",
        "Derived tables",
        "table refreshed (UTC) to load days waiting",
        "default_liquidation_rolling_avg_hist never - 0",
        "entity_daily never - 0",
    ]


@pytest.mark.parametrize("columns", ["80", "120"])
def test_each_file_has_its_line_and_its_words_whole_at_any_width(
    columns: str, shell: CommandLine
) -> None:
    long_name = "loans_of_a_department_with_a_long_name_2023-01-31.csv"
    shell.run("load", shell.write(long_name, LOANS), shell.write("titles.csv", TITLES))
    shell.run("refresh")
    shell.run("load", shell.write("loans_bad.csv", LOANS.replace("9,3,2", "9,8,7")))

    shown = shell.run("status", COLUMNS=columns)

    assert shown.code == 0
    assert max(map(len, shown.out.splitlines())) <= int(columns)
    words = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<instant>", " ".join(lines_of(shown.out)))
    assert words.startswith(
        "Files load file feed ended (UTC) status"
        " 3 loans_bad.csv loans <instant> quarantined Found 2 bad rows among the 2 read"
    )
    assert words.endswith(
        " 2 titles.csv job_titles <instant> loaded 1 inserted, 1 repeated in the file"
        f" 1 {long_name} loans <instant> loaded 2 inserted"
        " Derived tables table refreshed (UTC) to load days waiting"
        " default_liquidation_rolling_avg_hist <instant> 1 0"
        " entity_daily never - 0"
    )
    [titles] = [line for line in shown.out.splitlines() if "titles.csv" in line]
    assert titles.endswith("loaded")


def test_waiting_files_say_why_they_wait(shell: CommandLine) -> None:
    shell.write("imports/loans_complete.csv", LOANS)
    shell.write("imports/.hidden.csv", LOANS)
    shell.write("imports/loans.csv.part", LOANS)
    (shell.imports / "loans_link.csv").symlink_to("loans_complete.csv")
    os.mkfifo(shell.imports / "loans_pipe.csv")
    shell.write("imports/loans/deeper/loans.csv", LOANS)
    with shell.write("imports/loans/2023.csv", LOANS).open("a"):
        shown, asked = shell.run("status"), shell.run("status", "--json")
        down, asked_down = (
            shell.run("status", DATABASE_URL=DOWN),
            shell.run("status", "--json", DATABASE_URL=DOWN),
        )

    expected = {
        "loans_complete.csv": "complete, waits for the service",
        "loans_link.csv": "not a regular file: a symbolic link is never followed",
        "loans_pipe.csv": "not a regular file: a named pipe",
        "loans/deeper": "not a regular file: files are read at most one folder deep",
        "loans/2023.csv": "still open for writing",
    }
    assert (shown.code, asked.code) == (0, 0)
    assert (down.code, asked_down.code) == (3, 3)
    for answer in (json.loads(asked.out), json.loads(asked_down.out)):
        assert {each["name"]: each["reason"] for each in answer["waiting"]} == expected
    for text in (shown.out, down.out):
        waiting = lines_of(text.split("\n\n")[0])[2:]
        assert {line.split()[0] for line in waiting} == set(expected)
        assert all(any(line.endswith(why) for line in waiting) for why in expected.values())
    assert down.err.startswith("Error: The database cannot be reached: ")
    assert json.loads(asked_down.out)["error"] in down.err


def test_waiting_files_are_shown_before_the_tables_are_there(
    tmp_path: Path, empty_database: str
) -> None:
    shell = command_line.at(tmp_path, empty_database)
    shell.write("imports/loans.csv", LOANS)

    shown = shell.run("status")

    assert shown.code == 2
    assert "complete, waits for the service" in shown.out
    assert "run `python -m app migrate`" in shown.err


def test_programs_get_everything_as_json(shell: CommandLine) -> None:
    shell.run("load", shell.write("loans_ä.csv", LOANS))

    answer = json.loads(shell.run("status", "--json").out)

    assert sorted(answer) == ["derived_tables", "files", "waiting"]
    [file] = answer["files"]
    assert {name: file[name] for name in ("file_name", "pipeline", "status", "load_id")} == {
        "file_name": "loans_ä.csv",
        "pipeline": "loans",
        "status": "loaded",
        "load_id": 1,
    }
    assert file["what_happened"] == "loaded: 2 inserted"
    assert datetime.fromisoformat(file["finished_at"]).tzinfo
    [averages, _daily] = answer["derived_tables"]
    assert averages["days_waiting"] == 2


def test_only_the_latest_files_are_listed_and_the_rest_can_be_found(shell: CommandLine) -> None:
    paths = [shell.write(f"loans_{number:02}.csv", LOANS) for number in range(27)]
    shell.run("load", *paths)

    shown = shell.run("status").out

    assert [f"loans_{number:02}.csv" in shown for number in (0, 1, 2, 26)] == [
        False,
        False,
        True,
        True,
    ]
    assert "Older ones: SELECT * FROM ops.file_status ORDER BY load_id DESC" in shown


def test_a_pipe_gets_lines_that_stay_whole(shell: CommandLine) -> None:
    name = f"loans_{'x' * 100}.csv"
    shell.run("load", shell.write(name, LOANS))

    shown = shell.run("status")

    assert any(name in line and line.endswith("loaded") for line in shown.out.splitlines())
