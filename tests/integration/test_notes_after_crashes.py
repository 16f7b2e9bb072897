"""A file refused right before a crash gets the whole note when it is filed away later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app import archive
from app.domain import LoadStatus
from app.settings import Settings
from tests.loading import Folder

HEADER = "repayment_date,loans,defaults,liquidations\n"
GOOD = "2022-01-01,3,1,1\n"
BAD = "2022-01-02,many,1,1\n"
# Refused for its header, at the last row for the share of bad ones, and for a broken row.
REFUSED = {"header": "loans,defaults\n1,1\n", "share": HEADER + GOOD + BAD, "empty": ""}


class CrashError(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


def note_of(filed_path: str | None) -> Mapping[str, Any]:
    assert filed_path
    note: dict[str, Any] = json.loads(Path(f"{filed_path}.error.json").read_text())
    return {key: value for key, value in note.items() if key not in ("at", "load_id")}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
async def test_the_note_is_the_same_with_and_without_a_crash(
    content: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> Any:
        raise CrashError

    undisturbed = await folder.load("loans.csv", content)
    with monkeypatch.context() as crashing:
        crashing.setattr(archive, "quarantine", crash)
        with pytest.raises(CrashError):
            await folder.load("loans.csv", content)
    later = await folder.load("loans.csv", content)

    assert later.status is undisturbed.status is LoadStatus.QUARANTINED
    note = note_of(undisturbed.filed_path)
    assert all(note[part] for part in ("reason", "found", "expected", "what_to_do"))
    assert note_of(later.filed_path) == note
    kept = await folder.rows("SELECT fault FROM ops.load WHERE load_id = $1", later.load_id)
    parts = ("found", "expected", "what_to_do", "line_number")
    assert json.loads(kept[0][0]) == {part: note[part] for part in parts}
    assert await folder.rows("SELECT count(*) FROM ops.load") == [(2,)]


async def test_a_loaded_file_has_no_fault(folder: Folder) -> None:
    await folder.load("loans.csv", HEADER + GOOD)

    assert await folder.rows("SELECT fault IS NULL FROM ops.load") == [(True,)]
