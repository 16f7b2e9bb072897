"""Every feed loads into schemas of any name."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg
import pytest

from app.domain import LoadCounts
from app.settings import Settings
from app.store import migrate
from app.store.engine import connected_engine
from tests.integration.months_files import Oracle, file_of, many, partitions, warehouse
from tests.loading import Folder, csv_text


@pytest.fixture(params=[("landing", "dwh"), ("order", "select")])
def renamed(
    request: pytest.FixtureRequest, settings: Settings, make_database: Callable[..., str]
) -> Settings:
    """Settings with other names of schemas, and a database migrated with them."""
    staging, dw = request.param
    url = make_database()
    names = {"database_url": url, "staging_schema": staging, "dw_schema": dw}
    renamed = settings.model_copy(update=names)
    migrate.upgrade(renamed, url)
    return renamed


async def test_all_feeds_load_into_schemas_of_other_names(renamed: Settings) -> None:
    assert renamed.database_url
    sql = await asyncpg.connect(renamed.database_url)
    try:
        async with connected_engine(renamed.database_url, renamed) as engine:
            await load_everything(Folder(renamed, engine, sql), f'"{renamed.dw_schema}"')
    finally:
        await sql.close()


async def load_everything(folder: Folder, dw: str) -> None:
    loans = csv_text(
        ("repayment_date", "loans", "defaults", "liquidations"), [("2023-05-01", 3, 1, 2)]
    )
    assert (await folder.load("loans.csv", loans)).counts == LoadCounts(1, inserted=1)
    assert await folder.rows(f"SELECT loans FROM {dw}.loans") == [(3,)]
    titles = csv_text(("title", "pdl count", "x"), [("A", 1, "B"), ("a", 2, "c")])
    load = await folder.load("titles.csv", titles)
    assert load.counts == LoadCounts(2, inserted=1, duplicate=1)
    assert await folder.rows(
        f"SELECT title, related_title FROM {dw}.related_title ORDER BY rank"
    ) == [
        ("a", "c"),
        ("a", "b"),
    ]
    oracle = Oracle()
    first = many(60)
    corrected = {key: value + (key[1] == 7) for key, value in first.items()}
    replaced = {key: value + 1 for key, value in first.items()}
    for month in (first, corrected, replaced, {}, first):
        load = await folder.load("entity_2023_01.csv", file_of(month))
        rows = [(*key, value) for key, value in month.items()]
        assert (load.counts, await folder.touched(load)) == oracle.merge(rows)
        assert await warehouse(folder, dw) == month
    assert await partitions(folder, dw) == {"entity_2023_01"}
