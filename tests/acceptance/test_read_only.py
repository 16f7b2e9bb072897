"""A database that takes no writes for a while: everything that writes waits, exports do not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app import deriving
from app.loader import Tools
from app.pipelines import all_pipelines
from app.store.scripts import Scripts, schema_names
from tests.acceptance.conftest import Consume
from tests.acceptance.file_contents import entity_csv, loans_csv, some_loans, some_values
from tests.acceptance.front_door import Daemon, Front
from tests.acceptance.streams import all_loaded, check_ledger, check_values, sent
from tests.applications import some_applications
from tests.brokers import Topic

SAID = (
    "The database is read-only now, as a standby is: cannot execute {} in a read-only transaction"
)
ENDED = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'sluice' AND datname = current_database()
"""


@asynccontextmanager
async def read_only(sql: asyncpg.Connection) -> AsyncIterator[None]:
    """Has all sessions that begin in the block take no writes, for as long as they last."""
    name = await sql.fetchval("SELECT current_database()")
    await sql.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        await sql.execute(ENDED)
        yield
    finally:
        await sql.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')


async def test_files_wait_and_the_sessions_of_that_time_are_not_used_again(
    front: Front, daemon: Daemon
) -> None:
    async with read_only(front.sql):
        front.drop("loans.csv", loans_csv(some_loans(20)))
        front.drop("entity_2023-01.csv", entity_csv(some_values(10)))
        await daemon.wait_for("waiting", count=2)
        assert len(front.waiting) == 2
        assert await front.ledger() == []
        waits = {each["reason"] for each in (await front.status())["waiting"]}
        assert waits == {f"waits: {SAID.format('INSERT')}"}

    assert sorted(await front.outcomes(2)) == [
        ("entity_2023-01.csv", "loaded"),
        ("loans.csv", "loaded"),
    ]
    await daemon.wait_for("works again", count=2)
    assert [event["reason"] for event in daemon.events_named("waiting")] == [
        SAID.format("INSERT")
    ] * 2
    assert not [event for event in daemon.events if event["level"] == "error"]


async def test_a_refresh_waits_and_an_export_does_not(front: Front) -> None:
    for days in (20, 21):
        loans = front.path("loans.csv")
        loans.write_bytes(loans_csv(some_loans(days)))
        assert (await front.command("load", str(loans)))[0] == 0
        if days == 20:
            assert (await front.command("refresh"))[0] == 0
    async with read_only(front.sql):
        refreshed = await front.command("refresh")
        exported = await front.command("export")

    assert refreshed == (1, f"Error: {SAID.format('DELETE')}\n")
    assert exported[0] == 0
    written = front.settings.exports_dir / "loans/default_liquidation_rolling_avg.csv"
    assert len(written.read_text().splitlines()) == 21
    assert (await front.command("refresh"))[0] == 0


async def test_a_service_that_refreshes_goes_on_when_writes_are_taken_again(
    front: Front, engine: AsyncEngine
) -> None:
    settings = front.settings
    tools = Tools(engine, Scripts(schema_names(settings)), settings, all_pipelines())
    loans = front.path("loans.csv")
    loans.write_bytes(loans_csv(some_loans(20)))
    assert (await front.command("load", str(loans)))[0] == 0
    with capture_logs() as logs:
        async with read_only(front.sql):
            await deriving.derive(tools)
        [waits] = [event for event in logs if event["log_level"] != "info"]
        await deriving.derive(tools)

    assert waits["log_level"] == "warning"
    assert waits["reason"] == SAID.format("DELETE")
    view = "warehouse.default_liquidation_rolling_avg"
    assert await front.sql.fetchval(f"SELECT count(*) FROM {view}") == 20
    assert (settings.exports_dir / "loans/default_liquidation_rolling_avg.csv").exists()


async def test_a_stream_waits_and_goes_on(front: Front, consume: Consume, topic: Topic) -> None:
    rows = some_applications(60)
    consumer = await consume(topic)
    await consumer.wait_for("partitions assigned")
    async with read_only(front.sql):
        topic.send(sent(rows))
        await consumer.wait_for("waiting")

    await all_loaded(front.sql, topic)

    await check_values(front.sql, rows)
    await check_ledger(front.sql, topic)
    [waits] = consumer.events_named("waiting")
    assert waits["reason"].startswith(SAID.partition(":")[0])
