"""A backfill gives the values of an independent computation, however rows and chunks are cut."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import timedelta

import asyncpg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands import features
from app.domain import LoadStatus
from app.features import backfill
from app.loader import Tools
from app.pipelines import all_pipelines
from app.session import Session
from app.settings import Settings
from app.store.database import Database
from app.store.scripts import Scripts, schema_names
from tests.applications import (
    FIRST_DAY,
    Application,
    applications_csv,
    expected,
    in_order,
    rescored,
    some_applications,
)
from tests.integration.feature_values import VERSIONS, require_all, shown
from tests.loading import Folder

FORGET = """
    TRUNCATE warehouse.risk_score, warehouse.risk_score_feature, warehouse.feature_activation;
    DELETE FROM ops.reject;
    DELETE FROM ops.load;
    UPDATE warehouse.feature_version SET activated_at = NULL;
    UPDATE warehouse.feature_version SET activated_at = now() WHERE version = 0;
    INSERT INTO warehouse.feature_activation (version, activated_at) VALUES (0, now());
"""
SCREEN = Console(file=io.StringIO())


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


@pytest.fixture
def session(settings: Settings, engine: AsyncEngine) -> Session:
    assert settings.database_url
    tools = Tools(engine, Scripts(schema_names(settings)), settings, all_pipelines())
    return Session(Database(settings.database_url, "psql", settings.database_url), tools)


async def load(folder: Folder, name: str, rows: Sequence[Application]) -> None:
    loaded = await folder.load_unchecked(f"rejected_{name}.csv", applications_csv(rows))
    assert loaded.status is LoadStatus.LOADED, loaded.error


Step = tuple[str, int, int]
"""What happens: `load`, `correct`, `activate`, `backfill`; a number, and another."""

COUNTS = st.sampled_from([1, 2, 30, 49, 50, 51, 99, 100, 101, 170])
STEPS = st.one_of(
    st.tuples(st.just("load"), COUNTS, st.just(0)),
    st.tuples(st.just("load"), COUNTS, st.just(0)),
    st.tuples(st.just("correct"), COUNTS, st.integers(0, 5)),
    st.tuples(st.just("activate"), st.sampled_from(VERSIONS), st.just(0)),
    st.tuples(st.just("backfill"), st.sampled_from(VERSIONS), st.integers(0, 4)),
)


@examples(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=st.lists(STEPS, min_size=1, max_size=10),
    chunk_rows=st.sampled_from([7, 49, 50, 51, 99, 100, 101, 1000]),
)
async def test_values_do_not_depend_on_files_corrections_activations_and_earlier_backfills(
    steps: list[Step],
    chunk_rows: int,
    folder: Folder,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backfill, "CHUNK_ROWS", chunk_rows)
    await folder.sql.execute(FORGET)
    files: list[list[Application]] = []

    for position, (verb, number, other) in enumerate(steps):
        if verb == "activate":
            await features.activate(session, number)
        elif verb == "backfill":
            day = FIRST_DAY + timedelta(days=other)
            await features.backfill(session, number, day, SCREEN)
            await require_right(folder.sql, files)
        else:
            rows = some_applications(number, seed=position, first=1000 * position + 1)
            place = len(files) if verb == "load" else min(other, len(files))
            files[place : place + 1] = [rows]
            await load(folder, str(place), rows)
            await require_right(folder.sql, files)
    for version in VERSIONS:
        await features.backfill(session, version, None, SCREEN)

    await require_all(folder.sql, files)


async def require_right(sql: asyncpg.Connection, files: list[list[Application]]) -> None:
    """Whatever values there are by now are those of all rows from the first one on."""
    for version in VERSIONS:
        found = await shown(sql, version)
        right = {values[0]: values for values in expected(version, files)}
        assert found == [right[number] for number, *_ in found]


async def test_a_backfill_from_a_day_leaves_out_the_rows_before_and_counts_them(
    folder: Folder, session: Session
) -> None:
    first = some_applications(150)
    second = some_applications(150, first=151, day=FIRST_DAY + timedelta(days=3))
    await load(folder, "first", first)
    await load(folder, "second", second)
    day = FIRST_DAY + timedelta(days=4)

    done = await features.backfill(session, 2, day, SCREEN)

    rows = in_order([first, second])
    begins = next(position for position, row in enumerate(rows) if row.day >= day)
    assert 0 < begins < 150
    assert done == features.Backfilled(300 - begins, 300 - begins, begins)
    assert await shown(folder.sql, 2) == expected(2, [first, second])[begins:]
    assert await features.backfill(session, 2, day + timedelta(days=9), SCREEN) is None

    assert await features.backfill(session, 2, None, SCREEN) == features.Backfilled(300, begins, 0)
    await require_all(folder.sql, [first, second], versions=(2,))


async def test_a_backfill_writes_nothing_where_values_are(folder: Folder, session: Session) -> None:
    rows = some_applications(120)
    await load(folder, "once", rows)
    await features.backfill(session, 1, None, SCREEN)
    before = await folder.rows("SELECT xmin::text, * FROM warehouse.risk_score_feature")

    done = await features.backfill(session, 1, None, SCREEN)

    assert done == features.Backfilled(120, 0, 0)
    assert await folder.rows("SELECT xmin::text, * FROM warehouse.risk_score_feature") == before


@pytest.mark.parametrize("count", [10, 150, 400])
async def test_a_correction_after_backfills_brings_all_versions_up_to_date(
    count: int, folder: Folder, session: Session
) -> None:
    first, second, third = (some_applications(150, seed, 1000 * seed) for seed in (1, 2, 3))
    for name, rows in (("1", first), ("2", second), ("3", third)):
        await load(folder, name, rows)
    for version in (1, 2):
        await features.backfill(session, version, None, SCREEN)
    untouched = await folder.rows(UNTOUCHED, 150)

    corrected = rescored(some_applications(count, 7, first=9000), 0, 5)
    await load(folder, "2", corrected)

    await require_all(folder.sql, [first, corrected, third])
    assert await folder.rows(UNTOUCHED, 150) == untouched


UNTOUCHED = """
    SELECT version, application_id, modified_at FROM (
        SELECT *, row_number() OVER (PARTITION BY version ORDER BY application_id) AS n
        FROM warehouse.risk_score_feature
    ) AS numbered
    WHERE n <= $1 ORDER BY version, application_id
"""


async def test_each_chunk_of_a_backfill_is_a_transaction_of_its_own(
    folder: Folder, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "CHUNK_ROWS", 100)
    await load(folder, "once", some_applications(1050))

    await features.backfill(session, 1, None, SCREEN)

    written = await folder.rows(
        "SELECT count(*) FROM warehouse.risk_score_feature WHERE version = 1"
        " GROUP BY modified_at ORDER BY modified_at"
    )
    assert written == [(100,)] * 10 + [(50,)]
