"""`features`: versions shown, activated, computed, compared, rolled back, and kept fixed."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from app.cli import cli
from tests.acceptance import command_line
from tests.acceptance.command_line import PROJECT, CommandLine, at_a_terminal
from tests.acceptance.conftest import Watch
from tests.acceptance.feature_commands import (
    FIRST,
    SECOND,
    THIRD,
    cells,
    done,
    load,
    shell_in,
    sql_hash,
)
from tests.acceptance.front_door import Front
from tests.applications import FIRST_DAY, applications_csv, expected, some_applications
from tests.integration.feature_values import require_all, shown

UNKNOWN = "Error: There is no version 7 of the features; there are 0, 1, 2\n"


@pytest.fixture
def shell(tmp_path: Path, database: str) -> CommandLine:
    return shell_in(tmp_path, database)


def test_every_command_about_features_has_help(shell: CommandLine) -> None:
    group = cli.whole("features")
    overview = shell.run("features", "--help", COLUMNS="200").out

    assert sorted(group.commands) == ["activate", "backfill", "diff", "list", "rollback", "show"]
    for name, command in group.commands.items():
        first_line = command.help.splitlines()[0]
        assert re.search(rf"│ {name} +{re.escape(first_line)}", overview), name
        for option in command.params:
            assert getattr(option, "help", None), (name, option.name)
    help_of_backfill = " ".join(shell.run("features", "backfill", "--help").out.split())
    assert "the exponential mean is carried over all of them" in help_of_backfill


def test_the_list_says_which_version_is_active_and_how_many_rows_each_has(
    shell: CommandLine,
) -> None:
    load(shell, "first", FIRST)

    listed = cells(done(shell.run("features", "list")))

    assert listed[:2] == [
        ["Versions of the risk-score features"],
        ["version", "features", "activated (UTC)", "rows", "definition"],
    ]
    [zero, one, two] = listed[2:]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", zero.pop(3))
    assert zero == ["0", "active", "ma50", "130", sql_hash(0)[:12]]
    assert one == ["1", "ma50, ma100", "never", "0", sql_hash(1)[:12]]
    assert two == ["2", "ma50, ma100", "never", "0", sql_hash(2)[:12]]


def test_a_version_is_shown_with_its_definition_and_its_times(shell: CommandLine) -> None:
    done(shell.run("features", "activate", "2"))
    done(shell.run("features", "rollback"))

    shown_text = done(shell.run("features", "show", "2"))

    facts, definition = shown_text.split("\n\n")
    instants = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<at>", facts)
    assert instants.splitlines() == [
        "Version 2: ma50, ma100",
        "values: 0 rows, in warehouse.risk_score_v2",
        "registered: <at> UTC",
        "activated: <at> UTC, rolled back <at> UTC",
        f"SHA-256: {sql_hash(2)}",
    ]
    assert definition == (PROJECT / "sql/features/v2.sql").read_text(encoding="utf-8")
    assert done(shell.run("features", "show", "0")).startswith("Version 0, the active one: ma50\n")


async def test_new_rows_get_the_active_version_and_earlier_ones_keep_theirs(
    shell: CommandLine, sql: asyncpg.Connection
) -> None:
    load(shell, "first", FIRST)
    assert done(shell.run("features", "activate", "1")) == (
        "Version 1 is active now. 130 rows have no values of it: `features backfill 1` computes"
        " them.\n"
    )
    load(shell, "second", SECOND)
    assert done(shell.run("features", "activate", "1")).startswith("Version 1 was active already.")
    done(shell.run("features", "activate", "2"))
    load(shell, "third", THIRD)

    files = [FIRST, SECOND, THIRD]
    assert await shown(sql, 0) == expected(0, files)[:130]
    assert await shown(sql, 1) == expected(1, files)[130:270]
    assert await shown(sql, 2) == expected(2, files)[270:]
    current = await sql.fetch(
        "SELECT amount_requested::int, ma50::text, ma100::text, _version"
        " FROM warehouse.risk_score_current ORDER BY application_id"
    )
    assert [tuple(row) for row in current] == [
        *[(*values, 0) for values in expected(0, files)[:130]],
        *[(*values, 1) for values in expected(1, files)[130:270]],
        *[(*values, 2) for values in expected(2, files)[270:]],
    ]
    activations = await sql.fetch("SELECT version FROM warehouse.feature_activation ORDER BY 1")
    assert [version for (version,) in activations] == [0, 1, 2]


async def test_a_service_that_runs_follows_an_activation_and_a_rollback(
    front: Front, watch: Watch
) -> None:
    daemon = await watch()
    front.drop("rejected_1.csv", applications_csv(FIRST))
    await front.filed(1)
    await front.command("features", "activate", "2")
    front.drop("rejected_2.csv", applications_csv(SECOND))
    await front.filed(2)
    await front.command("features", "rollback")
    front.drop("rejected_3.csv", applications_csv(THIRD))
    await front.filed(3)
    await daemon.stop()

    files = [FIRST, SECOND, THIRD]
    of_zero = expected(0, files)
    assert await shown(front.sql, 0) == of_zero[:130] + of_zero[270:]
    assert await shown(front.sql, 1) == []
    assert await shown(front.sql, 2) == expected(2, files)[130:270]


async def test_a_backfill_computes_what_is_missing_and_says_how_much(
    shell: CommandLine, sql: asyncpg.Connection
) -> None:
    assert done(shell.run("features", "backfill", "1")) == (
        "Nothing to backfill: there is no application.\n"
    )
    load(shell, "first", FIRST)
    late = [*SECOND, *some_applications(9, first=900, day=FIRST_DAY + timedelta(days=30))]
    load(shell, "second", late)
    day = str(FIRST_DAY + timedelta(days=30))

    assert done(shell.run("features", "backfill", "2", "--from", day)) == (
        "Version 2: 9 of 9 rows computed, 0 had its values already."
        " 270 rows have no values of it: `features backfill 2` computes them.\n"
    )
    assert await shown(sql, 2) == expected(2, [FIRST, late])[270:]
    assert done(shell.run("features", "backfill", "2")) == (
        "Version 2: 270 of 279 rows computed, 9 had its values already.\n"
    )
    assert done(shell.run("features", "backfill", "1", "--from", "2040-01-01")) == (
        "Nothing to backfill: there is no application of 2040-01-01 or later.\n"
    )
    assert done(shell.run("features", "backfill", "1")) == (
        "Version 1: 279 of 279 rows computed, 0 had its values already.\n"
    )
    await require_all(sql, [FIRST, late])


def test_progress_of_a_backfill_is_shown_at_a_terminal_only(shell: CommandLine) -> None:
    load(shell, "first", FIRST)

    seen = at_a_terminal(shell, "features", "backfill", "1")
    piped = done(shell.run("features", "backfill", "2"))

    assert "━━━" in seen
    assert "130/130" in seen
    assert "Version 1: 130 of 130 rows computed" in seen
    assert piped == "Version 2: 130 of 130 rows computed, 0 had its values already.\n"


async def test_a_rollback_goes_back_step_by_step_and_every_value_stays(
    shell: CommandLine, sql: asyncpg.Connection
) -> None:
    for version, (name, rows) in enumerate((("a", FIRST), ("b", SECOND), ("c", THIRD))):
        done(shell.run("features", "activate", str(version)))
        load(shell, name, rows)

    assert done(shell.run("features", "rollback")) == (
        "Version 1 is active again; the values of version 2 stay."
        " 280 rows have no values of it: `features backfill 1` computes them.\n"
    )
    assert done(shell.run("features", "rollback")).startswith("Version 0 is active again; ")
    refused = shell.run("features", "rollback")

    assert (refused.code, refused.out, refused.err) == (
        1,
        "",
        "Error: There is nothing to roll back: no other version was active before this one\n",
    )
    files = [FIRST, SECOND, THIRD]
    assert await shown(sql, 1) == expected(1, files)[130:270]
    assert await shown(sql, 2) == expected(2, files)[270:]
    done(shell.run("features", "activate", "2"))
    assert done(shell.run("features", "rollback")).startswith("Version 0 is active again; ")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("show", "7"), 2, UNKNOWN),
        (("activate", "7"), 2, UNKNOWN),
        (("backfill", "7"), 2, UNKNOWN),
        (("diff", "1", "7"), 2, UNKNOWN),
        (("diff", "7", "1"), 2, UNKNOWN),
        (("diff", "1", "1"), 2, "Error: Version 1 is equal to itself: name two versions\n"),
        (
            ("diff", "0", "2"),
            1,
            "Error: Version 2 has no values yet; `features backfill 2` computes them\n",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(
    words: tuple[str, ...], code: int, said: str, shell: CommandLine
) -> None:
    load(shell, "first", FIRST[:3])

    ended = shell.run("features", *words)

    assert (ended.code, ended.out, ended.err) == (code, "", said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("features", "show", "one"), "Invalid value for 'VERSION'"),
        (("features", "backfill", "1", "--from", "May"), "'May' is not a date as YYYY-MM-DD"),
        (("features", "nonsense"), "No such command 'nonsense'"),
        (("features", "diff", "1"), "Missing argument 'V2'"),
    ],
)
def test_wrong_usage_is_2(words: tuple[str, ...], said: str, shell: CommandLine) -> None:
    ended = shell.run(*words)

    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


@pytest.mark.parametrize("words", [("list",), ("show", "1"), ("activate", "1"), ("rollback",)])
def test_a_database_without_tables_is_2(
    words: tuple[str, ...], tmp_path: Path, empty_database: str
) -> None:
    ended = command_line.at(tmp_path, empty_database).run("features", *words)

    assert ended.code == 2
    assert "run `python -m app migrate`" in ended.err
    assert len(ended.err.splitlines()) == 1
