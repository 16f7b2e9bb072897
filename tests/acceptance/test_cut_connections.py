"""The network fails between the service and its database, at the worst of moments.

A commit whose answer never came is looked up in the ledger, and the file is not loaded again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.settings import Settings
from tests import proxy
from tests.acceptance.conftest import Consume, Watch
from tests.acceptance.file_contents import (
    entity_csv,
    loans_csv,
    sha256,
    some_loans,
    some_values,
    titles_csv,
)
from tests.acceptance.front_door import Daemon, Front, Row
from tests.acceptance.streams import all_loaded, check_ledger, check_values, sent
from tests.applications import applications_csv, some_applications
from tests.brokers import Topic
from tests.proxy import Proxy, Trap, Way

BIG = some_values(60_000)
LOST = "The database cannot be reached: the connection was lost"
APPLICATIONS = some_applications(40)
FILES = {
    "loans.csv": loans_csv(some_loans(20)),
    "entity_2023-01.csv": entity_csv(some_values(300)),
    "titles.csv": titles_csv({"baker": 3, "smith": 4}),
    "rejected.csv": applications_csv(APPLICATIONS),
}
ATTEMPTS = {
    "before the commit arrives": 2,
    "before the answer arrives": 1,
    "once the answer has arrived": 1,
}


def trap(moment: str) -> Trap:
    """A cut at the commit of rows that were copied, and at no other."""
    way = Way.ANSWER if "answer" in moment else Way.REQUEST
    return Trap(way, sign=b"COMMIT\0", behind=b"COPY", lets_through="has arrived" in moment)


@pytest.fixture
async def relay(settings: Settings) -> AsyncIterator[Proxy]:
    """A relay before the test's database."""
    assert settings.database_url
    async with proxy.before(settings.database_url) as relay:
        yield relay


def reasons(daemon: Daemon) -> list[str]:
    """What its log says that it waited for, each line of it."""
    assert not [event for event in daemon.events if event["level"] == "error"]
    return [event["reason"] for event in daemon.events_named("waiting")]


def check_once(loads: list[Row], files: dict[str, bytes], front: Front) -> None:
    """Each content has one line in the ledger, and one file in the archive."""
    assert sorted((load["sha256"], load["status"]) for load in loads) == sorted(
        (sha256(content), "loaded") for content in files.values()
    )
    assert sorted(front.archived.values()) == sorted(files.values())
    assert front.waiting == {}


@pytest.mark.parametrize("moment", ATTEMPTS)
async def test_a_connection_cut_at_the_commit_loads_each_file_once(
    moment: str, front: Front, relay: Proxy, watch: Watch
) -> None:
    daemon = await watch(DATABASE_URL=relay.url)
    for count, (name, content) in enumerate(FILES.items(), 1):
        relay.lay(trap(moment))
        front.drop(name, content)
        loads = await front.filed(count)

    check_once(loads, FILES, front)
    assert {load["attempt"] for load in loads} == {ATTEMPTS[moment]}
    assert [load["rows_inserted"] for load in loads] == [20, 300, 2, 40]
    assert await front.loans() == some_loans(20)
    assert await front.entity() == some_values(300)
    await check_values(front.sql, APPLICATIONS)
    await daemon.wait_for("works again", count=len(FILES))
    assert reasons(daemon) == [LOST] * len(FILES)
    ended = "load had finished" if moment == "once the answer has arrived" else "load finished"
    assert [event["file"] for event in daemon.events_named(ended)] == list(FILES)
    assert not daemon.events_named("file changed while it was looked at")


async def test_a_connection_cut_in_the_middle_of_a_copy_costs_an_attempt(
    front: Front, relay: Proxy, watch: Watch
) -> None:
    daemon = await watch(DATABASE_URL=relay.url)
    files = {
        "entity_2023-01.csv": entity_csv(BIG),
        "entity_2023_01.csv": entity_csv({key: value + 1 for key, value in BIG.items()}),
    }
    for name, content in files.items():
        relay.lay(Trap(Way.REQUEST, after_bytes=1_000_000))
        front.drop(name, content)
        await daemon.wait_for("load finished", count=1 + list(files).index(name))
    loads = await front.filed(len(files))

    check_once(loads, files, front)
    assert [(load["attempt"], load["rows_read"]) for load in loads] == [(2, len(BIG))] * 2
    assert await front.entity() == {key: value + 1 for key, value in BIG.items()}
    assert await front.staged_tables() == []
    assert reasons(daemon) == [LOST] * 2


async def test_a_commit_still_under_way_when_the_service_is_back_is_awaited(
    front: Front, relay: Proxy, watch: Watch
) -> None:
    await front.sql.execute(
        """
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$
        BEGIN
            IF new.status = 'loaded' THEN PERFORM pg_advisory_xact_lock(4711); END IF;
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER dawdle AFTER UPDATE ON ops.load
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle();
        """
    )
    daemon = await watch(DATABASE_URL=relay.url)
    cut = trap("once the commit has arrived")
    async with front.sql.transaction():
        await front.sql.execute("SELECT pg_advisory_xact_lock(4711)")
        relay.lay(cut)
        front.drop("loans.csv", FILES["loans.csv"])
        await daemon.wait_for("waiting", count=2)
        [load] = await front.ledger()
        assert load["status"] == "running"
        committing = "query = 'COMMIT' AND datname = current_database()"
        backend = await front.sql.fetchval(f"SELECT pid FROM pg_stat_activity WHERE {committing}")

    loads = await front.filed(1)

    check_once(loads, {"loans.csv": FILES["loans.csv"]}, front)
    assert (loads[0]["attempt"], loads[0]["rows_inserted"]) == (1, 20)
    lost, waits_for_itself = reasons(daemon)
    assert lost == LOST
    assert "or the server has not noticed yet that a connection of this one was" in waits_for_itself
    assert f"Backend {backend} holds loans/; " in waits_for_itself


async def test_a_session_that_the_server_takes_for_alive_is_not_loaded_beside(
    front: Front, relay: Proxy, watch: Watch
) -> None:
    daemon = await watch(DATABASE_URL=relay.url)
    cut = Trap(Way.REQUEST, sign=b"COMMIT\0", behind=b"COPY", spares_server=True)
    relay.lay(cut)
    front.drop("loans.csv", FILES["loans.csv"])
    await daemon.wait_for("waiting", count=2)
    assert await front.loans() == {}
    cut.release()

    loads = await front.filed(1)

    check_once(loads, {"loans.csv": FILES["loans.csv"]}, front)
    assert loads[0]["attempt"] == 2
    assert await front.loans() == some_loans(20)


async def test_a_stream_whose_commit_was_not_answered_loads_each_message_once(
    front: Front, relay: Proxy, consume: Consume, topic: Topic
) -> None:
    rows = some_applications(60)
    consumer = await consume(topic, DATABASE_URL=relay.url)
    await consumer.wait_for("partitions assigned")
    cut = trap("before the answer arrives")
    relay.lay(cut)
    topic.send(sent(rows))
    await cut.sprung.wait()

    await all_loaded(front.sql, topic)

    await check_values(front.sql, rows)
    await check_ledger(front.sql, topic)
    await consumer.stop()
    assert reasons(consumer) == [LOST]


async def test_a_refresh_whose_connection_is_cut_says_so_and_the_next_one_does_it(
    front: Front, relay: Proxy
) -> None:
    loans = front.path("loans.csv")
    loans.write_bytes(FILES["loans.csv"])
    assert (await front.command("load", str(loans)))[0] == 0
    relay.lay(Trap(Way.REQUEST, sign=b"COMMIT"))

    said = await front.command("refresh", DATABASE_URL=relay.url)

    assert said == (3, f"Error: {LOST}\n")
    assert (await front.command("refresh", DATABASE_URL=relay.url))[0] == 0
    view = "warehouse.default_liquidation_rolling_avg"
    assert await front.sql.fetchval(f"SELECT count(*) FROM {view}") == 20
