"""Folders of claims that a kill left empty are removed, whoever claims a file at that instant."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import claims


@pytest.mark.parametrize("folder", [".", "loans"])
def test_the_start_of_the_service_removes_empty_folders_of_claims(
    folder: str, tmp_path: Path
) -> None:
    left = tmp_path / folder / ".moving" / "7"
    left.mkdir(parents=True)
    (left.parent / "note.txt").write_text("not of ours")

    assert claims.restore_claims(tmp_path) == []

    assert [path.name for path in left.parent.iterdir()] == ["note.txt"]


def test_a_claim_whose_folder_is_removed_before_the_rename_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, claim = tmp_path / "loans.csv", tmp_path / ".moving" / "7" / "loans.csv"
    source.write_text("rows")
    rename = Path.rename

    def after_another_start(path: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        claims.restore_claims(tmp_path)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", after_another_start)

    assert claims.rename_to(claim, source)
    assert (claim.read_text(), source.exists()) == ("rows", False)


def test_a_file_that_is_gone_cannot_be_claimed(tmp_path: Path) -> None:
    assert not claims.rename_to(tmp_path / ".moving" / "7" / "loans.csv", tmp_path / "loans.csv")
