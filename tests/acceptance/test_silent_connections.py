"""The network lets nothing pass between the service and its database, and cuts no connection.

Whoever is told to stop then does not wait for answers that never come: `stop` has a time limit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.settings import Settings
from app.store import lane_locks
from tests import proxy
from tests.acceptance.conftest import Consume, Watch
from tests.acceptance.file_contents import (
    entity_csv,
    loans_csv,
    some_loans,
    some_values,
    titles_csv,
)
from tests.acceptance.front_door import Daemon, Front, until
from tests.acceptance.streams import all_loaded, check_ledger, check_values, sent
from tests.applications import some_applications
from tests.brokers import Topic
from tests.proxy import Proxy, Trap, Way

FILES = {
    "loans.csv": loans_csv(some_loans(20)),
    "titles.csv": titles_csv({"baker": 3, "smith": 4}),
}


class Whole(Daemon):
    """`python -m app run`, with a database that is there."""

    words = ("run",)


@pytest.fixture
async def relay(settings: Settings) -> AsyncIterator[Proxy]:
    """A relay before the test's database."""
    assert settings.database_url
    async with proxy.before(settings.database_url) as relay:
        yield relay


async def test_a_service_told_to_stop_gives_up_loads_whose_database_is_silent(
    front: Front, relay: Proxy, watch: Watch
) -> None:
    daemon = await watch(DATABASE_URL=relay.url, WORKERS="3")
    front.drop("entity_2023-01.csv", entity_csv(some_values(10)))
    await front.filed(1)  # its connection is idle from then on
    await front.sql.execute("SELECT pg_advisory_lock($1)", lane_locks.lock_key("job_titles/"))
    async with front.sql.transaction():
        await front.sql.execute("LOCK TABLE warehouse.loans")
        for name, content in FILES.items():
            front.drop(name, content)
        await daemon.wait_for("waiting")

        async def merges() -> object:
            waits = "SELECT 1 FROM pg_locks WHERE relation = 'warehouse.loans'::regclass"
            return await front.sql.fetchval(f"{waits} AND NOT granted")

        await until(merges, "a load waits for the table in its transaction")
        relay.hush()

    await daemon.stop()

    assert len(daemon.events_named("load given up; its file is loaded at the next start")) == 2
    assert front.waiting == FILES
    await front.sql.execute("SELECT pg_advisory_unlock_all()")
    await watch()
    loads = await front.filed(3)
    assert [load["status"] for load in loads] == ["loaded"] * 3
    assert await front.loans() == some_loans(20)


async def test_a_service_told_to_stop_with_nothing_to_do_waits_for_no_answer_to_its_farewell(
    front: Front, relay: Proxy, watch: Watch
) -> None:
    daemon = await watch(DATABASE_URL=relay.url)
    front.drop("loans.csv", FILES["loans.csv"])
    await front.filed(1)
    relay.hush()

    await daemon.stop()

    assert daemon.events_named("stopped")


async def test_a_service_told_to_stop_while_it_starts_does_not_wait_for_a_silent_database(
    settings: Settings, relay: Proxy
) -> None:
    silence = Trap(Way.REQUEST, sign=b"BEGIN", hushes=True)
    relay.lay(silence)
    daemon = Daemon(settings, DATABASE_URL=relay.url, LOG_JSON="false")
    await daemon.start()
    await silence.sprung.wait()

    await daemon.stop()

    assert "watching" not in "".join(daemon.lines)


@pytest.mark.parametrize(
    "sign", [b"SELECT DISTINCT pipeline", b"ops.file_status"], ids=["first refresh", "overview"]
)
async def test_the_embedded_whole_told_to_stop_gives_up_what_it_shows_of_a_silent_database(
    front: Front, settings: Settings, relay: Proxy, sign: bytes
) -> None:
    silence = Trap(Way.REQUEST, sign=sign, hushes=True)
    relay.lay(silence)
    front.drop("loans.csv", FILES["loans.csv"])
    whole = Whole(settings, DATABASE_URL=relay.url)
    await whole.start()
    await silence.sprung.wait()

    await whole.stop()

    assert whole.events_named("overview given up")


async def test_a_stream_told_to_stop_gives_up_a_batch_whose_database_is_silent(
    front: Front, relay: Proxy, consume: Consume, topic: Topic
) -> None:
    rows = some_applications(60)
    consumer = await consume(topic, DATABASE_URL=relay.url)
    await consumer.wait_for("partitions assigned")
    silence = Trap(Way.REQUEST, sign=b"COMMIT\0", behind=b"COPY", hushes=True)
    relay.lay(silence)
    topic.send(sent(rows))
    await silence.sprung.wait()

    await consumer.stop()

    assert await front.ledger() == []
    await consume(topic)
    await all_loaded(front.sql, topic)
    await check_values(front.sql, rows)
    await check_ledger(front.sql, topic)
