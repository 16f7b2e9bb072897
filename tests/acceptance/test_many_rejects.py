"""Files with more bad rows than are kept: what the ledger, the note and `rejects` say of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.settings import Settings
from tests.acceptance import command_line
from tests.acceptance.command_line import CommandLine
from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import loans_csv, some_loans
from tests.acceptance.front_door import Front, counts_of

LOANS = some_loans(100)
GOOD = loans_csv(LOANS)
HEADER = GOOD.splitlines(keepends=True)[0]
KEPT = (
    "Only the first 3 of the 40 bad rows are kept (MAX_KEPT_REJECTS); the whole file is in the"
    " quarantine."
)


def bad_rows(count: int) -> bytes:
    return b"".join(b"2022-09-01,bad %d,0,0\n" % n for n in range(count))


@pytest.fixture
def shell(tmp_path: Path, settings: Settings) -> CommandLine:
    """Commands on the same folders and database."""
    return command_line.at(tmp_path, settings.database_url)


async def test_the_first_are_kept_of_a_quarantined_file_and_all_of_a_loaded_one(
    front: Front, watch: Watch
) -> None:
    await watch(MAX_KEPT_REJECTS="3")
    front.drop("loans_1.csv", HEADER + b"2022-04-01,1,0,0\n" + bad_rows(40))
    front.drop("loans_2.csv", GOOD + bad_rows(9))

    refused, loaded = await front.filed(2)

    assert (refused["status"], counts_of(refused)) == ("quarantined", {"read": 41, "rejected": 41})
    assert (loaded["status"], counts_of(loaded)) == (
        "loaded",
        {"read": 109, "inserted": 100, "rejected": 9},
    )
    assert loaded["error"] is None
    first = [(3 + n, f"2022-09-01,bad {n},0,0") for n in range(3)]
    assert await front.rows("SELECT load_id, line_number, raw FROM ops.reject ORDER BY 1, 2") == [
        *((refused["load_id"], *reject) for reject in first),
        *((loaded["load_id"], 102 + n, f"2022-09-01,bad {n},0,0") for n in range(9)),
    ]
    assert refused["error"].endswith(KEPT)
    kept_name = f"{refused['load_id']}_loans_1.csv"
    note = json.loads(front.quarantined[f"{kept_name}.error.json"])
    assert note["reason"] == refused["error"]
    assert [(each["line_number"], each["raw"]) for each in note["rejects"]] == first
    assert front.quarantined[kept_name].endswith(bad_rows(40))


def test_rejects_says_beside_the_list_that_it_is_not_whole_and_where_the_file_is(
    shell: CommandLine,
) -> None:
    path = shell.write("imports/loans.csv", (HEADER + bad_rows(40)).decode())
    assert shell.run("load", path, MAX_KEPT_REJECTS="3").code == 1

    shown, as_csv = shell.run("rejects", "1"), shell.run("rejects", "1", "--csv")

    reason = "is not a whole number that fits 64 bits"
    assert shown.out == "".join(
        f"line {n + 2}, loans: 'bad {n}' {reason}\n    2022-09-01,bad {n},0,0\n" for n in range(3)
    )
    assert as_csv.out.splitlines() == [
        "line_number,column_name,reason,raw",
        *(f"{n + 2},loans,'bad {n}' {reason},\"2022-09-01,bad {n},0,0\"" for n in range(3)),
    ]
    [quarantined] = shell.imports.glob(".quarantine/*.csv")
    for said in (shown, as_csv):
        assert said.code == 0
        assert said.err.startswith("Load 1 is quarantined: Found 40 bad rows among the 40 read")
        assert said.err.endswith(f" {KEPT} The file: {quarantined}\n")


def test_rejects_of_a_file_refused_without_reading_its_rows_says_why(shell: CommandLine) -> None:
    shell.run("load", shell.write("imports/loans.csv", "day,loans\n2022-01-01,1\n"))

    said = shell.run("rejects", "1")

    assert said.out == "Load 1 has no rejected rows.\n"
    assert said.err.startswith("Load 1 is quarantined: Found the header 'day', 'loans'")
    assert "bad rows are kept" not in said.err
