"""A move that fails halfway leaves the file where the next attempt looks for it."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import files, filing
from app.claims import LoadedFile
from app.errors import RetryableError
from app.settings import Settings

SHA256 = hashlib.sha256(b"a,b\n").hexdigest()


@pytest.fixture
def failing_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Fails every rename out of imports/, and the copy that would do instead; gives the repair."""
    real = os.rename

    def rename(source: Path, target: Path) -> None:
        if not Path(target).is_relative_to(tmp_path / "imports"):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, target)

    def sendfile(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(os, "sendfile", sendfile)
    return monkeypatch.undo


def test_a_file_that_could_not_be_moved_is_back_in_its_place_for_the_next_attempt(
    tmp_path: Path, failing_disk: Callable[[], None]
) -> None:
    (tmp_path / "imports").mkdir()
    source = tmp_path / "imports" / "loans.csv"
    source.write_bytes(b"a,b\n")
    settings = Settings(imports_dir=tmp_path / "imports", archive_dir=tmp_path / "archive")
    with files.open_file(source) as opened:
        identity = files.identity_of(opened.fileno())
        loaded = LoadedFile(source, opened, identity, SHA256, "loans.csv", 7)
        with pytest.raises(RetryableError) as trouble:
            filing.move(loaded, None, settings)
        assert str(trouble.value) == (
            f"loans.csv cannot be moved: No space left on device: {tmp_path / 'archive'}. Its load"
            " is over and not done again; make room on that disk, and it is moved."
        )

        assert source.read_bytes() == b"a,b\n"
        assert not list((tmp_path / "imports" / ".moving").iterdir())

        failing_disk()
        stored = filing.move(loaded, None, settings)
    assert stored.path
    assert stored.path.read_bytes() == b"a,b\n"
    assert not source.exists()


def test_a_copy_is_given_up_when_the_service_stops_and_the_file_is_back_in_its_place(
    tmp_path: Path, failing_disk: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imports").mkdir()
    source = tmp_path / "imports" / "loans.csv"
    source.write_bytes(b"a,b\n")
    settings = Settings(imports_dir=tmp_path / "imports", archive_dir=tmp_path / "archive")
    with files.open_file(source) as opened:
        loaded = LoadedFile(
            source, opened, files.identity_of(opened.fileno()), SHA256, "loans.csv", 7
        )
        calls = []

        def send_one_byte(*_: Any) -> int:
            calls.append(1)
            loaded.stopped.set()
            return 1

        monkeypatch.setattr(os, "sendfile", send_one_byte)
        with pytest.raises(RetryableError, match="when the service stopped"):
            filing.move(loaded, None, settings)

    assert calls == [1]
    assert source.read_bytes() == b"a,b\n"
    assert not list((tmp_path / "archive").rglob("7_*"))
