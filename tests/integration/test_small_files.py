"""A small file is read before its load begins; what becomes of it is what becomes of any file."""

from __future__ import annotations

import gzip
import hashlib
from datetime import date

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app import examine, small_files
from app.domain import LoadCounts, LoadStatus
from app.settings import Settings
from tests.loading import Folder, Reject

HEADER = "repayment_date,loans,defaults,liquidations\n"
GOOD = [f"2022-01-{day:02d},3,1,1\n" for day in range(1, 29)]
BAD = "2022-02-30,3,1,1\n"
SHORT = "2022-02-01,3\n"
TWICE = "2022-01-01,9,1,1\n"


@pytest.fixture(params=["small", "large"], autouse=True)
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "large":
        monkeypatch.setattr(examine, "SMALL_FILE_BYTES", 0)


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


@pytest.mark.parametrize(
    ("rows", "counts", "rejects"),
    [
        (GOOD, LoadCounts(read=28, inserted=28), []),
        ([*GOOD, TWICE], LoadCounts(read=29, inserted=28, duplicate=1), []),
        (
            [*GOOD, BAD, SHORT],
            LoadCounts(read=30, inserted=28, rejected=2),
            [(30, "repayment_date", BAD.strip()), (31, None, SHORT.strip())],
        ),
        ([], LoadCounts(), []),
    ],
)
@pytest.mark.parametrize("is_compressed", [False, True])
async def test_rows_and_rejects_are_brought_in(
    rows: list[str],
    counts: LoadCounts,
    rejects: list[Reject],
    is_compressed: bool,
    folder: Folder,
) -> None:
    plain = (HEADER + "".join(rows)).encode()
    name, stored = ("loans.csv.gz", gzip.compress(plain)) if is_compressed else ("loans.csv", plain)

    load = await folder.load(name, stored)

    assert (load.status, load.counts) == (LoadStatus.LOADED, counts)
    assert await folder.rejects(load) == rejects
    assert await folder.rows("SELECT sha256 FROM ops.load") == [
        (hashlib.sha256(stored).hexdigest(),)
    ]
    days = await folder.rows("SELECT repayment_date FROM warehouse.loans")
    assert {day for (day,) in days} == {date(2022, 1, n + 1) for n in range(counts.inserted)}
    assert await folder.touched(load) == {day for (day,) in days}
    assert (await folder.load(name, stored)).status is LoadStatus.DUPLICATE


@pytest.mark.parametrize(
    ("content", "read", "rejects"),
    [
        (HEADER + GOOD[0] + BAD, 2, [(3, "repayment_date", BAD.strip())]),
        (HEADER + GOOD[0] + SHORT, 2, [(3, None, SHORT.strip())]),
        ("repayment_date,loans\n2022-01-01,3\n", 0, []),
        ("", 0, []),
    ],
)
async def test_a_refused_file_leaves_no_row(
    content: str, read: int, rejects: list[Reject], folder: Folder
) -> None:
    load = await folder.load("loans.csv", content)

    assert load.status is LoadStatus.QUARANTINED
    assert load.counts == LoadCounts(read=read, rejected=read)
    assert await folder.rejects(load) == rejects
    assert await folder.rows("SELECT * FROM warehouse.loans") == []


async def test_a_small_file_that_holds_much_is_read_batch_by_batch(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_files, "SMALL_FILE_BATCHES", 1)

    load = await folder.load("loans.csv", HEADER + "".join([*GOOD, BAD]))

    assert load.counts == LoadCounts(read=29, inserted=28, rejected=1)
