"""The whole life of the product under a login that may read and write rows, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from app.store import roles
from tests.acceptance.file_contents import (
    entity_csv,
    loans_csv,
    some_loans,
    some_values,
    titles_csv,
)
from tests.acceptance.front_door import Daemon, Front, counts_of
from tests.acceptance.production import TABLE, Production, month_rows
from tests.acceptance.streams import StreamProcess, all_loaded, sent, values
from tests.applications import applications_csv, expected, some_applications
from tests.brokers import Topic
from tests.integration.exports_tree import tree
from tests.logins import member_of

# So many are not deleted one by one after the merge, but truncated.
MANY_TITLES = 10_500
# The first row of the month once more, behind all others.
REPEATED = entity_csv(some_values(1)).split(b"\n", 1)[1]
NUMBER = "SELECT 'warehouse.entity_2023_01'::regclass::oid"
OWNERS = """
    SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
    WHERE relnamespace::regnamespace::text IN ('ops', 'staging', 'warehouse')
"""


@pytest.fixture
async def app_front(front: Front) -> AsyncIterator[Front]:
    """The front door, with commands that log in as a member of the service's role."""
    assert front.settings.database_url
    async with member_of(roles.APP, front.sql, front.settings.database_url) as url:
        yield Front(front.settings.model_copy(update={"database_url": url}), front.sql)


@pytest.fixture
def source_url(make_database: Callable[..., str]) -> str:
    """Address of a database of its own for the source."""
    return make_database()


async def done(front: Front, *words: str, **more: str) -> str:
    code, printed = await front.command(*words, **more)
    assert code == 0, printed
    return printed


async def test_files_of_every_feed_load_and_derived_tables_and_exports_follow(
    app_front: Front,
) -> None:
    titles = {f"title {number}": number for number in range(MANY_TITLES)}
    app_front.drop("loans.csv", loans_csv(some_loans(20)))
    app_front.drop("entity_2023_01.csv", entity_csv(some_values(100)) + REPEATED)
    app_front.drop("titles.csv", titles_csv(titles))
    app_front.drop("rejected_2007.csv", applications_csv(some_applications(130)))
    app_front.drop("loans_ragged.csv", b"repayment_date,loans\n2023-01-01,1\n")
    daemon = Daemon(app_front.settings)
    await daemon.start()
    loads = await app_front.filed(5)
    await daemon.stop()
    await done(app_front, "refresh")
    await done(app_front, "export")
    status = await app_front.status()

    assert {load["file_name"]: load["status"] for load in loads} == {
        "loans.csv": "loaded",
        "entity_2023_01.csv": "loaded",
        "titles.csv": "loaded",
        "rejected_2007.csv": "loaded",
        "loans_ragged.csv": "quarantined",
    }
    assert await app_front.loans() == some_loans(20)
    assert await app_front.entity() == some_values(100)
    assert await app_front.rows("SELECT count(*) FROM warehouse.job_title") == [(MANY_TITLES,)]
    exports = tree(app_front.settings.exports_dir)
    assert "year=2023/month=1/entity_stats_monthly_2023_1.csv" in exports
    assert len(status["files"]) == 5
    assert await app_front.staged_tables() == []


async def test_a_month_is_made_corrected_replaced_and_emptied(app_front: Front) -> None:
    first = some_values(100)
    corrected = {**first, next(iter(first)): -1}
    backwards = dict(reversed(first.items()))
    numbers: list[int] = []
    daemon = Daemon(app_front.settings)
    await daemon.start()
    for version in (first, corrected, some_values(100, seed=1), backwards, {}):
        app_front.drop("entity_2023_01.csv", entity_csv(version))
        await app_front.filed(len(numbers) + 1)
        assert await app_front.entity() == version
        numbers.append(await app_front.sql.fetchval(NUMBER))
    await daemon.stop()

    assert numbers[0] == numbers[1] != numbers[2]
    updated = [counts_of(load).get("updated") for load in await app_front.ledger()]
    assert updated == [None, 1, 100, 100, None]
    assert await app_front.staged_tables() == []
    assert await app_front.rows(OWNERS) == await app_front.rows("SELECT current_user")


async def test_months_are_pulled(app_front: Front, source_url: str) -> None:
    sql = await asyncpg.connect(source_url)
    await sql.execute(TABLE)
    production = Production(source_url, sql, app_front)
    await production.insert(month_rows("2023-02", 50))

    await production.pulled("--wait")
    await sql.execute("DELETE FROM entity WHERE entity_id < 10")
    await production.pulled("--wait")

    assert await app_front.entity() == await production.rows()
    await sql.close()


async def test_messages_are_loaded_and_versions_of_features_come_and_go(
    app_front: Front, topic: Topic
) -> None:
    rows = some_applications(60)
    topic.send(sent(rows), partition=0)
    consumer = StreamProcess(app_front.settings, topic, KAFKA_GROUP=topic.name)
    await consumer.start()
    await all_loaded(app_front.sql, topic)
    await consumer.stop()

    await done(app_front, "features", "activate", "2")
    await done(app_front, "features", "backfill", "2")
    await done(app_front, "features", "diff", "0", "2")
    assert await values(app_front.sql, 0) == expected(0, [[row] for row in rows])
    assert await values(app_front.sql, 2) == expected(2, [[row] for row in rows])
    await done(app_front, "features", "rollback")
    assert "active" in await done(app_front, "features", "list")
