"""Somebody's query keeps a lock for long: what needs it says so, and goes on when it is free."""

from __future__ import annotations

import asyncpg
import pytest

from app.errors import RetryableError
from app.export import export
from app.refresh import refresh
from app.settings import Settings
from app.store import connection as connections
from tests.acceptance.conftest import Consume
from tests.acceptance.file_contents import entity_csv, some_values
from tests.acceptance.front_door import Daemon, Front
from tests.acceptance.streams import all_loaded, check_ledger, check_values, sent
from tests.applications import some_applications
from tests.brokers import Topic

SAID = "Another session holds a lock that this needs; `SELECT * FROM pg_locks` shows whose"


async def test_a_query_left_open_on_the_months_holds_up_no_corrected_month(
    front: Front, daemon: Daemon
) -> None:
    old, new = some_values(300), some_values(300, seed=1)
    front.drop("entity_2023-01.csv", entity_csv(old))
    await front.filed(1)
    analyst = await asyncpg.connect(front.settings.database_url)
    try:
        await analyst.execute("BEGIN; SELECT count(*) FROM warehouse.entity")
        front.drop("entity_2023-01.csv", entity_csv(new))
        _, load = await front.filed(2)
        seen = await Front(front.settings, analyst).entity()
    finally:
        await analyst.close()

    assert (load["status"], load["rows_updated"]) == ("loaded", 300)
    assert seen == await front.entity() == new
    assert not daemon.events_named("waiting")


async def test_a_locked_ledger_is_said_in_one_line_and_waited_for(
    front: Front, daemon: Daemon
) -> None:
    async with front.sql.transaction():
        await front.sql.execute("LOCK TABLE ops.load")
        front.drop("entity_2023-01.csv", entity_csv(some_values(10)))
        await daemon.wait_for("waiting")
        assert list(front.waiting) == ["entity_2023-01.csv"]

    [load] = await front.filed(1)
    assert load["status"] == "loaded"
    assert await front.entity() == some_values(10)
    await daemon.wait_for("works again")
    [waiting] = daemon.events_named("waiting")
    assert waiting["reason"].startswith(SAID)


async def test_a_stream_whose_offsets_are_locked_says_so_and_goes_on(
    front: Front, consume: Consume, topic: Topic
) -> None:
    rows = some_applications(60)
    topic.send(sent(rows))
    async with front.sql.transaction():
        await front.sql.execute("LOCK TABLE ops.stream_offset")
        consumer = await consume(topic)
        await consumer.wait_for("waiting")

    await all_loaded(front.sql, topic)

    await check_values(front.sql, rows)
    await check_ledger(front.sql, topic)
    [waiting] = consumer.events_named("waiting")
    assert waiting["reason"].startswith(SAID)


@pytest.mark.parametrize(
    ("step", "table"),
    [(refresh, "ops.touched_day"), (export, "ops.refresh"), (export, "warehouse.entity_daily")],
)
async def test_a_refresh_or_an_export_does_not_wait_for_ever(
    step: type,
    table: str,
    settings: Settings,
    sql: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert connections.SERVER_SETTINGS["lock_timeout"] == "60s"
    monkeypatch.setitem(connections.SERVER_SETTINGS, "lock_timeout", "50ms")
    assert settings.database_url
    async with sql.transaction():
        await sql.execute(f"LOCK TABLE {table}")
        async with connections.connected(settings.database_url, settings) as connection:
            with pytest.raises(RetryableError, match="Another session holds a lock"):
                await step(connection, settings)

    async with connections.connected(settings.database_url, settings) as connection:
        await step(connection, settings)
