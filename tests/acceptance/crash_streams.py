"""A topic whose consumer is killed again and again: what is sent, and what both sides share.

How messages are cut into batches differs from run to run, and with it the numbers of loads; the
order of the rows of one partition does not.
"""

from __future__ import annotations

from app.crash_points import Point
from tests.acceptance.crash_walk import Side, Walk
from tests.acceptance.snapshots import Snapshot
from tests.acceptance.streams import all_loaded, sent
from tests.applications import Application, some_applications
from tests.brokers import Topic

ROWS_PER_ROUND = 25
POINTS = (
    "stream.gathered",
    "stream.gathered:2",
    "stream.offsets_held:2",
    Point.ROWS_SENT,
    Point.APPENDED,
    "stream.advanced",
    "stream.advanced:2",
    "stream.batch_committed",
    "stream.batch_committed:2",
)
# One partition has one order.
OPTIONS = {"KAFKA_BATCH_ROWS": "10", "KAFKA_BATCH_SECONDS": "0.05", "KAFKA_SESSION_SECONDS": "6"}
SHARED = {
    "applications": """
        SELECT to_jsonb(application) - 'application_id' - 'load_id', version, ma50, ma100
        FROM warehouse.risk_score AS application
        JOIN warehouse.risk_score_feature USING (application_id)
        ORDER BY application_id
    """,
    "rejects": "SELECT reason, raw, partition, message_offset FROM ops.reject ORDER BY 4",
    "ledger": """
        SELECT pipeline, status, filed_at IS NULL, sum(rows_read), sum(rows_inserted),
            sum(rows_rejected)
        FROM ops.load GROUP BY 1, 2, 3
    """,
    "offsets": "SELECT partition, next_offset FROM ops.stream_offset",
    "staged": "SELECT count(*) FROM staging.risk_scores",
}


def rows_of(number: int) -> list[Application]:
    return some_applications(ROWS_PER_ROUND, seed=number, first=100 * number + 1)


async def look(side: Side) -> Snapshot:
    tables = {name: await side.front.rows(query) for name, query in SHARED.items()}
    return {"tables": tables, "relations": [], "files": {}}


def walk_of(topics: dict[str, Topic]) -> Walk:
    """The walk of consumers of each side's own topic."""

    async def send(side: Side, number: int) -> None:
        topics[side.folder.name].send([*sent(rows_of(number)), "not a message"])
        be_another_group(side, f"{number}-killed")

    async def consume(side: Side, number: int) -> None:
        topic = topics[side.folder.name]
        be_another_group(side, f"{number}-again")
        async with side.running("streaming", *words(topic)):
            await all_loaded(side.sql, topic)

    def be_another_group(side: Side, name: str) -> None:
        """A group would wait for its killed member before it gave its messages to another one."""
        side.options["KAFKA_GROUP"] = f"{topics[side.folder.name].name}-{name}"

    def words(topic: Topic) -> tuple[str, ...]:
        return ("stream", "--topic", topic.name)

    disturbed = words(topics["disturbed"])
    return Walk(POINTS, send, lambda _number: disturbed, consume, look=look)
