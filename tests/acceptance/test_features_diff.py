"""`features diff`: what it shows is what the values themselves say."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.acceptance.command_line import CommandLine
from tests.acceptance.feature_commands import FIRST, SECOND, cells, done, load, shell_in
from tests.applications import FIRST_DAY, expected


@pytest.fixture
def shell(tmp_path: Path, database: str) -> CommandLine:
    return shell_in(tmp_path, database)


def test_a_diff_shows_what_the_values_themselves_say(shell: CommandLine) -> None:
    load(shell, "first", FIRST)
    done(shell.run("features", "activate", "2"))
    load(shell, "second", SECOND)
    done(shell.run("features", "backfill", "1"))
    done(shell.run("features", "backfill", "2", "--from", str(FIRST_DAY)))

    printed = cells(done(shell.run("features", "diff", "1", "2")))

    files = [FIRST, SECOND]
    one, two = expected(1, files), expected(2, files)
    both = list(zip(one, two, strict=True))
    apart = [abs(Decimal(a[1]) - Decimal(b[1])) for a, b in both if a[1] and b[1]]
    mean = (sum(apart, Decimal(0)) / len(apart)).quantize(Decimal("0.000001"))
    differing = [(a, b) for a, b in both if a[1] != b[1]]
    assert printed[:10] == [
        ["Versions 1 and 2"],
        ["rows"],
        ["version 1", "270"],
        ["version 2", "270"],
        ["both", "270"],
        ["only 1", "0"],
        ["only 2", "0"],
        ["feature", "rows that differ", "largest difference", "mean difference"],
        ["ma50", str(len(differing)), str(max(apart)), str(mean)],
        ["ma100", "0", "0.000000", "0.000000"],
    ]
    assert printed[10] == ["First values that differ"]
    days = {row.number: str(row.day) for row in (*FIRST, *SECOND)}
    assert [line[1:] for line in printed[12:]] == [
        [days[a[0]], "ma50", str(a[1]), str(b[1])] for a, b in differing[:10]
    ]


def test_a_diff_counts_the_rows_that_only_one_version_has(shell: CommandLine) -> None:
    load(shell, "first", FIRST)
    done(shell.run("features", "activate", "1"))
    load(shell, "second", SECOND)
    day = str(max(row.day for row in FIRST))
    done(shell.run("features", "backfill", "1", "--from", day))

    printed = cells(done(shell.run("features", "diff", "0", "1")))

    of_first = sorted(FIRST, key=lambda row: row.day)
    shared = sum(str(row.day) >= day for row in of_first)
    assert printed == [
        ["Versions 0 and 1"],
        ["rows"],
        ["version 0", "130"],
        ["version 1", str(140 + shared)],
        ["both", str(shared)],
        ["only 0", str(130 - shared)],
        ["only 1", "140"],
        ["feature", "rows that differ", "largest difference", "mean difference"],
        ["ma50", "0", "0.000000", "0.000000"],
        ["Only one version has ma100."],
    ]
