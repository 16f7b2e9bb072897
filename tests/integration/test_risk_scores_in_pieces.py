"""However rows are cut into loads, corrected and switched over, the values are those of one run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import ConfigError
from app.features import registry, values
from app.features.definitions import all_definitions, definition_of
from app.settings import Settings
from app.store import migrate
from app.store.scripts import Scripts, schema_names
from tests.applications import (
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
    TRUNCATE warehouse.risk_score, warehouse.risk_score_feature, ops.load, ops.reject
    RESTART IDENTITY;
    UPDATE warehouse.feature_version SET activated_at = NULL;
"""


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


def cut(rows: Sequence[Application], sizes: Sequence[int]) -> list[list[Application]]:
    """The rows in their order, in files of these sizes and one of what is left."""
    files, first = [], 0
    for size in sizes:
        files.append(list(rows[first : first + size]))
        first += size
    return [*files, list(rows[first:])]


async def activate(folder: Folder, version: int) -> None:
    scripts = Scripts(schema_names(folder.settings))
    async with folder.sql.transaction():
        await registry.activate(folder.sql, scripts, version)


async def migrated(settings: Settings) -> None:
    assert settings.database_url
    await asyncio.to_thread(migrate.upgrade, settings, settings.database_url)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Corrections look again after these many rows whether they matter still."""
    monkeypatch.setattr(values, "CHUNK_ROWS", 130)
    monkeypatch.setattr(values, "SETTLED_SCORES", 100)


async def compute_all(folder: Folder) -> None:
    """Every version for every row, from the first one to the last."""
    scripts = Scripts(schema_names(folder.settings))
    async with folder.sql.transaction():
        for definition in all_definitions():
            await values.compute(folder.sql, scripts, definition, 1, 2**62)


@examples(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    count=st.integers(1, 260),
    seed=st.integers(0, 99),
    sizes=st.lists(st.integers(0, 120), max_size=4),
    versions=st.lists(st.sampled_from(VERSIONS), min_size=5, max_size=5),
)
async def test_one_file_and_its_pieces_have_the_same_values(
    folder: Folder, count: int, seed: int, sizes: list[int], versions: list[int]
) -> None:
    await folder.sql.execute(FORGET)
    ordered = in_order([some_applications(count, seed)])
    files = cut(ordered, sizes)

    active: dict[int, list[int]] = {}
    for number, (rows, version) in enumerate(zip(files, versions, strict=False)):
        await activate(folder, version)
        await folder.load(f"rejected_{number}.csv", applications_csv(rows))
        active.setdefault(version, []).extend(row.number for row in rows)

    for version, numbers in active.items():
        whole = {row[0]: row for row in expected(version, [ordered])}
        assert await shown(folder.sql, version) == [whole[number] for number in numbers]
    await compute_all(folder)
    await require_all(folder.sql, [ordered])


@examples(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    sizes=st.lists(st.integers(1, 130), min_size=1, max_size=4),
    corrections=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(0, 129),
            st.sampled_from(["", "0.0", "850.5"]),
            st.integers(-40, 40),
        ),
        min_size=1,
        max_size=3,
    ),
    is_computed=st.booleans(),
)
async def test_corrections_anywhere_leave_what_one_run_over_the_newest_files_gives(
    folder: Folder,
    sizes: list[int],
    corrections: list[tuple[int, int, str, int]],
    is_computed: bool,
) -> None:
    await folder.sql.execute(FORGET)
    await activate(folder, 2)
    files = [some_applications(size, number, 1000 * number) for number, size in enumerate(sizes, 1)]
    for number, rows in enumerate(files):
        await folder.load(f"rejected_{number}.csv", applications_csv(rows))
    if is_computed:
        await compute_all(folder)

    for which, position, score, more in corrections:
        number = which % len(files)
        rows = rescored(files[number], position, score=score)
        extra = some_applications(max(0, more), seed=more, first=1000 * number + 500)
        # A place without rows would count as new, which only the active version follows.
        files[number] = [*rows[: max(1, len(rows) + min(0, more))], *extra]
        await folder.load(f"rejected_{number}.csv", applications_csv(files[number]))

        await require_all(folder.sql, files, VERSIONS if is_computed else [2])


async def test_a_correction_is_followed_for_as_long_as_it_matters(folder: Folder) -> None:
    files = [some_applications(60, 1, 1), some_applications(4_000, 2, 1_001)]
    for number, rows in enumerate(files):
        await folder.load(f"rejected_{number}.csv", applications_csv(rows))
    await compute_all(folder)
    # What is written here into a value that no correction of the first file can change, stays.
    mark = "UPDATE warehouse.risk_score_feature SET ma50 = -1 WHERE application_id = $1"
    last_id = await folder.sql.fetchval("SELECT max(application_id) FROM warehouse.risk_score")
    await folder.sql.execute(mark, last_id)

    files[0] = rescored(files[0], 30, score="850.5")
    await folder.load("rejected_0.csv", applications_csv(files[0]))

    for version in VERSIONS:
        found, right = await shown(folder.sql, version), expected(version, files)
        assert found[:-1] == right[:-1], f"version {version}"
        assert found[-1] == (right[-1][0], "-1", right[-1][2]), f"version {version}"


async def test_each_row_shows_the_active_versions_values_or_those_it_came_with(
    folder: Folder,
) -> None:
    files = [some_applications(70, seed, 100 * seed) for seed in (1, 2, 3)]
    for version, rows in enumerate(files):
        await activate(folder, version)
        await folder.load(f"rejected_{version}.csv", applications_csv(rows))
    query = (
        "SELECT amount_requested::int, ma50::text, ma100::text, _version"
        " FROM warehouse.risk_score_current ORDER BY application_id"
    )
    by_version = {version: expected(version, files) for version in VERSIONS}
    parts = [
        (*values, version)
        for version in VERSIONS
        for values in by_version[version][70 * version : 70 * (version + 1)]
    ]
    assert await folder.rows(query) == parts

    scripts = Scripts(schema_names(folder.settings))
    async with folder.sql.transaction():
        await values.compute(folder.sql, scripts, definition_of(2), 1, 2**62)
    assert await folder.rows(query) == [(*row, 2) for row in by_version[2]]
    await require_all(folder.sql, files, [2])


async def test_a_definition_that_was_activated_and_changed_is_refused(folder: Folder) -> None:
    await folder.sql.execute("UPDATE warehouse.feature_version SET definition_hash = 'f00'")
    both = f"definition f00, but sql/features/v0.sql is {definition_of(0).definition_hash}"

    with pytest.raises(ConfigError, match=both):
        await folder.load_unchecked("rejected.csv", applications_csv(some_applications(3)))
    with pytest.raises(ConfigError, match=both):
        await migrated(folder.settings)

    assert await folder.rows("SELECT count(*) FROM warehouse.risk_score") == [(0,)]


async def test_a_definition_that_was_never_active_may_still_change(folder: Folder) -> None:
    await folder.sql.execute(
        "UPDATE warehouse.feature_version SET definition_hash = 'f00', definition = 'SELECT 1'"
        " WHERE version > 0"
    )

    await migrated(folder.settings)

    query = "SELECT version, definition, definition_hash FROM warehouse.feature_version ORDER BY 1"
    assert await folder.rows(query) == [
        (each.version, each.text, each.definition_hash) for each in all_definitions()
    ]
