"""`run`: the whole on one machine with the embedded server, from the first look to Ctrl-C."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

from tests.acceptance import command_line
from tests.acceptance.command_line import CommandLine

FIRST_LINES_SECONDS = 90
STOP_SECONDS = 10
LOANS = "repayment_date,loans,defaults,liquidations\n2020-01-01,3,2,1\n"


def read_until(process: subprocess.Popen[str], last: str) -> str:
    """What a command prints up to a line that holds `last`; the test's time limit is ours."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if last in line:
            return "".join(lines)
    assert process.stderr
    raise AssertionError("".join(lines) + process.stderr.read())


def rows_of(shown: str, title: str) -> list[list[str]]:
    """The rows of one table, split at the gaps."""
    table = shown.split(f"{title}\n")[1].split("\n\n", maxsplit=1)[0]
    return [re.split(r"\s{2,}", line.strip()) for line in table.split("─\n")[1].splitlines()]


def server_processes(folder: Path) -> list[str]:
    """Command lines of running programs that name the embedded server's folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:  # ended meanwhile
            continue
        if str(folder) in words and "postgres" in words:
            found.append(words)
    return found


def test_run_shows_it_all_shares_its_server_and_leaves_nothing_behind(tmp_path: Path) -> None:
    shell = command_line.at(tmp_path)
    shell.run("sample")
    with shell.start("run") as running:
        try:
            shown = read_until(running, "stop with Ctrl-C")
            check_the_overview(shown)
            check_psql(shown)
            check_sharing(shell)
            assert server_processes(tmp_path)
        finally:
            began = time.monotonic()
            running.send_signal(signal.SIGINT)
            rest, errors = running.communicate(timeout=60)
    assert time.monotonic() - began < STOP_SECONDS
    assert (running.returncode, errors) == (0, "")
    assert "stopped" in rest
    assert server_processes(tmp_path) == []
    assert sorted(path.name for path in shell.imports.glob("[!.]*")) == []
    assert (tmp_path / "exports" / "year=2023").is_dir()


def check_the_overview(shown: str) -> None:
    """Every sample is loaded, and each view shows rows in a sensible order."""
    files = [line.split() for line in shown.splitlines() if re.match(r" +\d+  \S+\.", line)]
    assert sorted((line[1], line[2], line[-1]) for line in files) == [
        ("entity_2023_01.csv", "entity", "loaded"),
        ("entity_2023_02.csv.gz", "entity", "loaded"),
        ("job_titles.csv", "job_titles", "loaded"),
        ("loans_2024-05-31.csv", "loans", "loaded"),
        ("rejected_2007.csv", "risk_scores", "loaded"),
    ]
    days = [
        row[0] for row in rows_of(shown, "warehouse.default_liquidation_rolling_avg, newest first")
    ]
    assert days == ["2024-05-31", "2024-05-30", "2024-05-29", "2024-05-28", "2024-05-27"]
    assert [row[:3] for row in rows_of(shown, "warehouse.entity_stats_daily, newest first")] == [
        ["2023", "2", str(day)] for day in (28, 27, 26, 25, 24)
    ]
    assert [row[:2] for row in rows_of(shown, "warehouse.entity_stats_monthly, newest first")] == [
        ["2023", "2"],
        ["2023", "1"],
    ]
    assert [row[0] for row in rows_of(shown, "warehouse.entity_stats_yearly, newest first")] == [
        "2023"
    ]
    counts = [int(row[1]) for row in rows_of(shown, "warehouse.job_title, most frequent first")]
    assert counts == sorted(counts, reverse=True)
    assert [row[1] for row in rows_of(shown, "warehouse.related_title, by title")] == list("12345")


def check_psql(shown: str) -> None:
    """The line to paste works as it stands."""
    [line] = re.findall(r"^Connect with:  (.*)$", shown, re.MULTILINE)
    answer = subprocess.run(
        [*shlex.split(line), "-Atc", "SELECT count(*) FROM warehouse.entity"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert answer.stdout == "4852\n"


def check_sharing(shell: CommandLine) -> None:
    """Another command sees the same database, and leaves the server running."""
    path = shell.write("loans_more.csv", LOANS)
    assert shell.run("load", path).code == 0
    asked = shell.run("status")
    assert asked.code == 0
    assert "loans_more.csv" in asked.out
    assert "entity_2023_01.csv" in asked.out


def test_exports_that_cannot_be_written_do_not_end_the_watcher(
    tmp_path: Path, database: str
) -> None:
    shell = command_line.at(tmp_path, database)
    shell.run("sample")
    not_a_folder = shell.write("exports.txt", "in the way")
    with shell.start("run", EXPORTS_DIR=str(not_a_folder), LOG_JSON="true") as running:
        try:
            shown = read_until(running, "stop with Ctrl-C")
            shell.write("imports/loans_more.csv", LOANS)
            read_until(running, '"event": "load finished"')
        finally:
            running.send_signal(signal.SIGINT)
            rest, errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (0, "")
    assert '"event": "refresh or export has to wait"' in shown
    assert "set EXPORTS_DIR to another one" in shown
    check_the_overview(shown)
    assert "stopped" in rest


def test_an_imports_folder_that_cannot_be_made_is_one_clear_line(
    tmp_path: Path, database: str
) -> None:
    shell = command_line.at(tmp_path, database)

    for command in ("watch", "run"):
        ended = shell.run(command, IMPORTS_DIR="/proc/absent/imports")

        assert ended.code == 2
        assert ended.err.startswith(
            "Error: The imports folder /proc/absent/imports cannot be made: "
        )
        assert len(ended.err.splitlines()) == 1


def test_an_entry_that_is_never_loaded_does_not_hold_the_overview_up(
    tmp_path: Path, database: str
) -> None:
    shell = command_line.at(tmp_path, database)
    shell.run("sample")
    (shell.imports / "loans_link.csv").symlink_to("elsewhere.csv")
    (shell.imports / "loans" / "deeper").mkdir(parents=True)
    began = time.monotonic()
    with shell.start("run") as running:
        try:
            shown = read_until(running, "stop with Ctrl-C")
        finally:
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=60)
    assert time.monotonic() - began < FIRST_LINES_SECONDS
    check_the_overview(shown)
