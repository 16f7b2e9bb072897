"""The embedded server is killed under a stream that nothing else uses it beside; it comes back."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import asyncpg

from app.store import embedded
from tests.acceptance.conftest import Consume
from tests.acceptance.streams import all_loaded, check_ledger, check_values, sent
from tests.applications import some_applications
from tests.brokers import Topic


async def test_a_killed_server_is_started_again_and_the_stream_goes_on(
    consume: Consume, topic: Topic, tmp_path: Path
) -> None:
    rows = some_applications(120)
    home = tmp_path / "postgres"
    consumer = await consume(topic, DATABASE_URL="", EMBEDDED_DIR=str(home), INIT_DB="true")
    topic.send(sent(rows[:60]))
    await consumer.wait_for("batch loaded")
    pid_file = home / "data/postmaster.pid"
    killed = int(pid_file.read_text().split()[0])
    os.kill(killed, signal.SIGKILL)
    topic.send(sent(rows[60:]))

    await consumer.wait_for("works again")

    assert int(pid_file.read_text().split()[0]) != killed
    assert len(consumer.events_named("waiting")) == 1
    with embedded.start(home) as server:
        sql = await asyncpg.connect(server.url)
        try:
            await all_loaded(sql, topic)
            await check_values(sql, rows)
            await check_ledger(sql, topic)
        finally:
            await sql.close()
    await consumer.stop()
    assert not [event for event in consumer.events if event["level"] == "error"]
