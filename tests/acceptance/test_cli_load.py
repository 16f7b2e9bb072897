"""`load`, `rejects` and `replay`: files brought in by hand, and what became of each row."""

from __future__ import annotations

import asyncio
import csv
import io
import signal
import subprocess
from pathlib import Path

import asyncpg
import pytest

from app.settings import Settings
from tests.acceptance import command_line
from tests.acceptance.command_line import SECONDS, CommandLine, at_a_terminal

HEADER = "repayment_date,loans,defaults,liquidations\n"
GOOD = HEADER + "".join(f"2023-01-{day:02},9,3,{day % 4}\n" for day in range(1, 21))
BAD = HEADER + "2023-02-01,9,3,2\n2023-02-02,nine,3,2\n"
ARCHIVED = "imports/.archive/*/*/*/*"


@pytest.fixture
def shell(tmp_path: Path, settings: Settings) -> CommandLine:
    """The test's own folder and migrated database."""
    return command_line.at(tmp_path, settings.database_url)


def files_in(shell: CommandLine, pattern: str) -> list[str]:
    return sorted(path.name for path in shell.folder.glob(pattern) if path.name[0] != ".")


async def test_a_good_file_is_loaded_and_a_copy_kept_while_the_file_stays(
    shell: CommandLine, sql: asyncpg.Connection
) -> None:
    path = shell.write("loans_a.csv", GOOD)

    ended = shell.run("load", path)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        "loans_a.csv: loaded as load 1: 20 rows read, 20 inserted, 0 updated, 0 unchanged,"
        " 0 deleted, 0 rejected, 0 repeated\n"
    )
    assert path.read_text() == GOOD
    assert files_in(shell, ARCHIVED) == ["1_loans_a.csv"]
    assert await sql.fetchval("SELECT count(*) FROM warehouse.loans") == 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_load_that_is_broken_off_has_failed_and_can_be_loaded_again(
    shell: CommandLine, sql: asyncpg.Connection, number: int
) -> None:
    path = shell.write("loans_a.csv", GOOD)
    # The rows are staged, and wait here to be merged.
    async with sql.transaction():
        await sql.execute("LOCK TABLE warehouse.loans")
        with shell.start("load", path) as loading:
            async with asyncio.timeout(SECONDS):
                while not await sql.fetchval("SELECT count(*) FROM ops.load"):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                loading.send_signal(number)
                code = await asyncio.to_thread(loading.wait, SECONDS)
        [load] = await sql.fetch("SELECT status, error FROM ops.load")

    assert code != 0
    assert load["status"] == "failed"
    assert load["error"].startswith("Broken off")
    assert await sql.fetchval("SELECT count(*) FROM warehouse.loans") == 0
    assert "20 inserted" in shell.run("load", path).out


def test_a_file_in_the_imports_folder_is_archived(shell: CommandLine) -> None:
    path = shell.write("imports/loans_a.csv", GOOD)

    assert shell.run("load", path).code == 0

    assert not path.exists()
    assert files_in(shell, ARCHIVED) == ["1_loans_a.csv"]


def test_a_kept_file_that_is_loaded_again_stays_where_it_is(shell: CommandLine) -> None:
    shell.run("load", shell.write("imports/loans_a.csv", GOOD))
    shell.run("load", shell.write("imports/loans_bad.csv", BAD))
    [archived] = shell.folder.glob(ARCHIVED)
    quarantined = shell.imports / ".quarantine" / "2_loans_bad.csv"

    good = shell.run("load", "--force", "--pipeline", "loans", archived)
    bad = shell.run("load", "--force", "--pipeline", "loans", quarantined, MAX_REJECTED_RATIO="1")

    assert (good.code, bad.code) == (0, 0)
    assert archived.read_text() == GOOD
    assert quarantined.read_text() == BAD
    assert files_in(shell, ARCHIVED) == [*("1_loans_a.csv", "3_1_loans_a.csv", "4_2_loans_bad.csv")]


def test_the_same_content_again_is_a_duplicate_unless_forced(shell: CommandLine) -> None:
    path = shell.write("loans_a.csv", GOOD)
    shell.run("load", path)

    again, forced = shell.run("load", path), shell.run("load", "--force", path)

    assert (again.code, again.err) == (0, "")
    assert again.out.startswith("loans_a.csv: duplicate (load 2): The same content as load 1")
    assert forced.code == 0
    assert forced.out.startswith(
        "loans_a.csv: loaded as load 3: 20 rows read, 0 inserted, 0 updated, 20 unchanged"
    )


def test_a_file_past_its_rejects_is_refused_and_says_so_once(shell: CommandLine) -> None:
    path = shell.write("imports/loans_bad.csv", BAD)

    ended = shell.run("load", path)

    assert ended.code == 1
    assert ended.out.startswith(
        "loans_bad.csv: quarantined (load 1): Found 1 bad rows among the 2 read"
    )
    assert ended.err == ""
    assert not path.exists()
    assert files_in(shell, "imports/.quarantine/*") == [
        "1_loans_bad.csv",
        "1_loans_bad.csv.error.json",
    ]


def test_every_file_has_its_own_end_and_one_that_is_refused_stops_no_other(
    shell: CommandLine,
) -> None:
    good, bad = shell.write("loans_a.csv", GOOD), shell.write("loans_bad.csv", BAD)
    unfinished = shell.write("loans_open.csv", GOOD)
    titles = shell.write("titles.csv", "title,pdl_count,related\nbaker,3,bread\n")

    with unfinished.open("a"):
        ended = shell.run("load", bad, "absent.csv", shell.imports, unfinished, good, titles)

    assert ended.code == 1
    assert [line.split(" (")[0].split(" as")[0] for line in ended.out.splitlines()] == [
        "loans_bad.csv: quarantined",
        "loans_a.csv: loaded",
        "titles.csv: loaded",
    ]
    assert ended.err == (
        "Error: Found no file absent.csv; expected a file."
        " To do: check the path and the folder.\n"
        f"Error: Found {shell.imports}: not a regular file; expected a file."
        " To do: name the file itself.\n"
        f"Error: Found {unfinished}: still open for writing; expected a complete file."
        " To do: wait until it is written, then load it.\n"
    )


def test_a_link_is_followed_when_it_is_named(shell: CommandLine) -> None:
    shell.write("2023.csv", GOOD)
    (shell.folder / "loans_latest.csv").symlink_to("2023.csv")

    ended = shell.run("load", "loans_latest.csv")

    assert ended.code == 0
    assert ended.out.startswith("loans_latest.csv: loaded as load 1: 20 rows read")
    assert (shell.folder / "loans_latest.csv").is_symlink()


def test_the_pipeline_can_be_named_where_the_file_name_does_not_tell(shell: CommandLine) -> None:
    path = shell.write("january.csv", GOOD)

    unnamed, named = shell.run("load", path), shell.run("load", path, "--pipeline", "loans")

    assert unnamed.code == 1
    assert "Found the file name 'january.csv'" in unnamed.out
    assert named.code == 0
    assert "20 inserted" in named.out


def test_load_makes_the_tables_but_never_drops_them(shell: CommandLine) -> None:
    first, second = shell.write("loans_a.csv", GOOD), shell.write("loans_bad.csv", BAD)

    assert shell.run("load", first, DEV="true").code == 0
    ended = shell.run("load", second, DEV="true", MAX_REJECTED_RATIO="1")

    assert ended.out.startswith("loans_bad.csv: loaded as load 2: ")


def test_progress_is_shown_at_a_terminal_only(shell: CommandLine) -> None:
    path = shell.write("loans_[red]a.csv", GOOD)

    shown = at_a_terminal(shell, "load", path)
    piped = shell.run("load", "--force", path)

    assert "━━━" in shown
    assert "loans_[red]a.csv" in shown.split("━━━")[0]
    assert "20 inserted" in shown
    assert "━" not in piped.out + piped.err
    assert len(piped.out.splitlines()) == 1


def test_rejects_tell_line_column_reason_and_text(shell: CommandLine) -> None:
    path = shell.write(
        "loans.csv",
        HEADER + '2023-02-01,"ni""\nne",3,2\n2023-02-02,9,8,7\n2023-02-03,\x1b[31m,1,1\n',
    )
    shell.run("load", path, MAX_REJECTED_RATIO="1")

    shown, as_csv = shell.run("rejects", "1"), shell.run("rejects", "1", "--csv")

    assert (shown.code, as_csv.code) == (0, 0)
    assert shown.out.splitlines() == [
        "line 2, loans: 'ni\"\\nne' is not a whole number that fits 64 bits",
        '    2023-02-01,"ni""',
        '    ne",3,2',
        "line 4: defaults and liquidations exceed loans",
        "    2023-02-02,9,8,7",
        "line 5, loans: '\\x1b[31m' is not a whole number that fits 64 bits",
        "    2023-02-03,\\x1b[31m,1,1",
    ]
    assert list(csv.reader(io.StringIO(as_csv.out, newline=""))) == [
        ["line_number", "column_name", "reason", "raw"],
        [
            "2",
            "loans",
            "'ni\"\\nne' is not a whole number that fits 64 bits",
            '2023-02-01,"ni""\nne",3,2',
        ],
        ["4", "", "defaults and liquidations exceed loans", "2023-02-02,9,8,7"],
        [
            "5",
            "loans",
            "'\\x1b[31m' is not a whole number that fits 64 bits",
            "2023-02-03,\x1b[31m,1,1",
        ],
    ]


def test_a_load_without_rejects_says_so(shell: CommandLine) -> None:
    shell.run("load", shell.write("loans_a.csv", GOOD))

    assert shell.run("rejects", "1").out == "Load 1 has no rejected rows.\n"
    assert shell.run("rejects", "1", "--csv").out == "line_number,column_name,reason,raw\n"


def test_a_reader_that_has_seen_enough_is_no_error(shell: CommandLine) -> None:
    rows = "".join(f"2023-02-01,{'x' * 90},3,2\n" for _ in range(3000))
    shell.run("load", shell.write("loans_bad.csv", HEADER + rows))
    commands = (("rejects", "1"), ("rejects", "1", "--csv"), ("status",), ("status", "--json"))

    started = [
        start_without_reader(shell, *words, PYTHONUNBUFFERED=unbuffered)
        for words in commands
        for unbuffered in ("", "1")
    ]

    assert [end_of(process) for process in started] == [(0, "")] * 8


def start_without_reader(shell: CommandLine, *words: str, **settings: str) -> subprocess.Popen[str]:
    """Starts a command whose output nobody reads: the other end is closed before it writes."""
    process = shell.start(*words, **settings)
    assert process.stdout
    process.stdout.close()
    return process


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    """A command's exit code and complaints."""
    assert process.stderr
    with process:
        return process.wait(timeout=60), process.stderr.read()


def test_a_quarantined_file_is_replayed_once_its_limits_are_raised(shell: CommandLine) -> None:
    shell.run("load", shell.write("imports/loans_bad.csv", BAD))

    again = shell.run("replay", "1")
    raised = shell.run("replay", "1", MAX_REJECTED_RATIO="0.5")

    assert again.code == 1
    assert raised.code == 0
    assert raised.out.startswith("loans_bad.csv: loaded as load 3: 2 rows read, 1 inserted")
    assert files_in(shell, "imports/.quarantine/*") == []
    assert files_in(shell, ARCHIVED) == ["3_loans_bad.csv"]


async def test_an_archived_file_is_replayed_and_stays(
    shell: CommandLine, sql: asyncpg.Connection
) -> None:
    shell.run("load", shell.write("imports/loans_a.csv", GOOD))
    await sql.execute("DELETE FROM warehouse.loans WHERE repayment_date < '2023-01-06'")

    ended = shell.run("replay", "1")

    assert ended.code == 0
    assert ended.out.startswith("loans_a.csv: loaded as load 2: 20 rows read, 5 inserted")
    assert files_in(shell, ARCHIVED) == ["1_loans_a.csv", "2_loans_a.csv"]


def test_a_file_that_is_not_kept_cannot_be_replayed(shell: CommandLine) -> None:
    shell.run("load", shell.write("imports/loans_a.csv", GOOD), ON_SUCCESS="delete")
    shell.run("load", shell.write("imports/loans_a.csv", GOOD), "--force")
    [kept] = shell.folder.glob(ARCHIVED)
    kept.unlink()

    deleted, lost = shell.run("replay", "1"), shell.run("replay", "2")

    assert (deleted.code, lost.code) == (2, 2)
    assert deleted.err == (
        "Error: The file of load 1, loans_a.csv, is not kept any more (looked for nothing: it was"
        " deleted or never moved); drop it into imports/ again\n"
    )
    assert f"looked for {kept}" in lost.err
