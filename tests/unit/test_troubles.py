"""What the service waits for is told to who asks, and to nobody once it is over."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app import troubles
from app.errors import DatabaseUnreachableError, RetryableError
from app.folder import Waiting
from app.patience import LONGEST_WAIT_SECONDS
from app.troubles import Troubles, explained, read_notes


def waiting(path: Path) -> Waiting:
    return Waiting(path, path.name, 1, datetime.now(UTC), "complete, waits for the service")


def reasons(folder: Path, *names: str) -> list[str]:
    return [each.reason for each in explained([waiting(folder / name) for name in names], folder)]


def test_a_file_that_is_tried_again_says_why_and_the_others_do_not(tmp_path: Path) -> None:
    service = Troubles(tmp_path)
    service.of(tmp_path / "a.csv").note(RetryableError("the disk is full"))

    assert reasons(tmp_path, "a.csv", "b.csv") == [
        "waits: the disk is full",
        "complete, waits for the service",
    ]


@pytest.mark.parametrize("ending", ["works again", "load over", "service stopped", "file gone"])
def test_nothing_is_left_of_it_when_it_is_over(ending: str, tmp_path: Path) -> None:
    service, path = Troubles(tmp_path), tmp_path / "a.csv"
    service.of(path).note(RetryableError("the disk is full"))
    match ending:
        case "works again":
            service.of(path).end()
        case "load over":
            service.forget(path)
        case "service stopped":
            service.close()
        case _:
            service.forget_all_but(lambda _path: False)

    assert reasons(tmp_path, "a.csv") == ["complete, waits for the service"]
    assert list(tmp_path.iterdir()) == []


def test_the_note_of_a_killed_service_is_soon_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(troubles, "TRY_SECONDS", -1.0)
    Troubles(tmp_path).of(tmp_path / "a.csv").note(RetryableError("the disk is full"))

    assert list(tmp_path.glob(".waits/*.json"))
    assert read_notes(tmp_path) == {}


def test_the_next_service_removes_the_note_of_one_killed_long_ago(tmp_path: Path) -> None:
    Troubles(tmp_path).of(tmp_path / "a.csv").note(RetryableError("the disk is full"))
    [note] = tmp_path.glob(".waits/*")
    long_ago = note.stat().st_mtime - 601
    os.utime(note, (long_ago, long_ago))

    Troubles(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_note_cut_short_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".waits").mkdir()
    (tmp_path / ".waits/other-1.json").write_text('{"a')

    assert read_notes(tmp_path) == {}


def test_a_folder_that_takes_no_note_does_not_keep_the_service_from_waiting(
    tmp_path: Path,
) -> None:
    (tmp_path / ".waits").write_text("in the way")

    assert Troubles(tmp_path).of(tmp_path / "a.csv").note(RetryableError("no")) == 0.5


def test_an_outage_is_told_once_until_it_lasts(tmp_path: Path) -> None:
    trouble = Troubles(tmp_path).of(tmp_path / "a.csv")
    for words in ("the connection was lost", "shutting down", "starting up"):
        trouble.note(DatabaseUnreachableError(words))
    assert trouble.reason == "the connection was lost"
    while trouble.seconds < LONGEST_WAIT_SECONDS:
        trouble.note(DatabaseUnreachableError("starting up"))

    trouble.note(DatabaseUnreachableError("starting up"))

    assert trouble.reason == "starting up"
