"""A fault of ours in any step of a load ends in the ledger, and the file in the quarantine."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import Arrival, Column, LoadStatus, Pipeline
from app.errors import RetryableError
from app.loader import Tools, load_file
from app.pipelines import loans
from app.settings import Settings
from app.store.scripts import Scripts, schema_names

CONTENT = b"repayment_date,loans,defaults,liquidations\n2022-01-01,3,1,1\n"


def break_down(*_: Any) -> Any:
    raise ZeroDivisionError("a feed declared wrongly")


class Wrong(str):
    """A column name that cannot be compared with a header."""

    __slots__ = ()

    def strip(self, _characters: str | None = None, /) -> str:
        break_down()
        return ""


BROKEN = {
    "routing": replace(loans.PIPELINE, columns=(Column(Wrong("x")), *loans.PIPELINE.columns)),
    "contract": replace(loans.PIPELINE, contract=break_down),
    "preparing": replace(loans.PIPELINE, prepare=break_down),
}


@pytest.fixture
def arrival(settings: Settings) -> Arrival:
    path = settings.imports_dir / "loans.csv"
    path.write_bytes(CONTENT)
    return Arrival(path, path.name, None, len(CONTENT), datetime.now(UTC))


def tools(engine: AsyncEngine, settings: Settings, pipeline: Pipeline) -> Tools:
    return Tools(engine, Scripts(schema_names(settings)), settings, (pipeline,))


@pytest.mark.parametrize("step", list(BROKEN))
async def test_a_fault_of_ours_fails_the_load_and_sets_the_file_aside(
    step: str,
    arrival: Arrival,
    engine: AsyncEngine,
    settings: Settings,
    sql: asyncpg.Connection,
) -> None:
    load = await load_file(arrival, tools(engine, settings, BROKEN[step]))

    assert load.status is LoadStatus.FAILED
    assert load.error == "Not the file's fault: ZeroDivisionError: a feed declared wrongly"
    recorded = await sql.fetch("SELECT load_id, status, error, filed_path FROM ops.load")
    assert [tuple(row) for row in recorded] == [
        (load.load_id, "failed", load.error, load.filed_path)
    ]
    kept = settings.quarantine_folder / f"{load.load_id}_loans.csv"
    assert (str(kept), kept.read_bytes()) == (load.filed_path, CONTENT)
    note = json.loads(kept.with_name(kept.name + ".error.json").read_text())
    assert re.search(rf"replay {load.load_id}", note["what_to_do"])
    assert not arrival.path.exists()
    assert await sql.fetch("SELECT * FROM warehouse.loans") == []


async def test_the_loader_says_so_when_a_disk_cannot_be_read(
    arrival: Arrival, engine: AsyncEngine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("hashlib.sha256", fail)

    with pytest.raises(RetryableError, match="The file cannot be read: Input/output error"):
        await load_file(arrival, tools(engine, settings, loans.PIPELINE))

    assert arrival.path.read_bytes() == CONTENT
