"""Crash points end the program where they are told to, and are not there otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app import crash_points
from app.crash_points import VARIABLE, Point
from app.errors import ConfigError

PASSES = """
from app import crash_points
from app.crash_points import Point
for turn in range(3):
    print(turn, end=" ")
    crash_points.reach(Point.CLAIMED)
    crash_points.reach(Point.MERGED)
"""


@pytest.fixture(autouse=True)
def unread() -> Iterator[None]:
    """The environment is read once; here it is read anew in each test."""
    crash_points.asked_for.cache_clear()
    yield
    crash_points.asked_for.cache_clear()


@pytest.mark.parametrize(
    "given", ["load.merge", "load.merged:", "load.merged:0", "load.merged:x", "LIST", ":2"]
)
def test_an_unknown_point_is_refused_with_all_that_there_are(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, given)

    with pytest.raises(ConfigError) as refused:
        crash_points.asked_for()

    assert repr(given) in str(refused.value)
    assert all(point in str(refused.value) for point in Point)


def test_an_unknown_point_ends_a_command_before_it_begins() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "app", "status"],
        env={**os.environ, VARIABLE: "load.merge"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "SLUICE_CRASH_AT: found 'load.merge'" in ended.stderr


@pytest.mark.parametrize(("given", "turns"), [("load.merged", 1), ("load.merged:3", 3)])
def test_a_program_ends_at_the_point_with_nothing_written_out(given: str, turns: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PASSES.replace('end=" "', "flush=turn < 2")],
        env={**os.environ, VARIABLE: given, "PYTHONUNBUFFERED": ""},
        capture_output=True,
        check=False,
    )

    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.split() == [b"0", b"1"][:turns]


@pytest.mark.parametrize(
    ("given", "listed"), [("", []), ("list", ["load.claimed", "load.merged"] * 3)]
)
def test_a_program_passes_the_points_otherwise(given: str, listed: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PASSES],
        env={**os.environ, VARIABLE: given},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (0, "0 1 2 ")
    assert ended.stderr == "".join(f"SLUICE_CRASH_AT passes {point}\n" for point in listed)
