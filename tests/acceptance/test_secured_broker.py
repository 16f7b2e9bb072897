"""Messages by encrypted connections, to a broker that asks for a login or for a certificate.

Only a real broker has such listeners: `make test-kafka` starts one and names them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.acceptance.conftest import Consume
from tests.acceptance.front_door import Front
from tests.acceptance.streams import all_loaded, check_ledger, check_values
from tests.applications import applications_csv, some_applications
from tests.brokers import Topic

GIVEN = {
    name: os.environ.get(f"TEST_KAFKA_{name}", "")
    for name in ("SASL_SSL", "SSL", "CERTIFICATES", "USERNAME", "PASSWORD")
}
CERTIFICATE, KEY = (str(Path(GIVEN["CERTIFICATES"], f"{name}.pem")) for name in ("broker", "key"))

pytestmark = pytest.mark.skipif(
    not all(GIVEN.values()),
    reason="no broker with TLS and logins here; `make test-kafka` runs one",
)


def login(mechanism: str, **other: str) -> dict[str, str]:
    """The settings that the listener with a login asks for."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": GIVEN["SASL_SSL"],
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SSL_CA_LOCATION": CERTIFICATE,
        "KAFKA_SASL_MECHANISM": mechanism,
        "KAFKA_SASL_USERNAME": GIVEN["USERNAME"],
        "KAFKA_SASL_PASSWORD": GIVEN["PASSWORD"],
        **other,
    }


def certificate(**other: str) -> dict[str, str]:
    """The settings that the listener with certificates on both sides asks for."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": GIVEN["SSL"],
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_SSL_CA_LOCATION": CERTIFICATE,
        "KAFKA_SSL_CERTIFICATE_LOCATION": CERTIFICATE,
        "KAFKA_SSL_KEY_LOCATION": KEY,
        **other,
    }


@pytest.mark.parametrize(
    "secured",
    [login("PLAIN"), login("SCRAM-SHA-512"), certificate()],
    ids=["PLAIN", "SCRAM-SHA-512", "certificate"],
)
async def test_what_is_produced_is_streamed_with_the_same_settings(
    secured: Mapping[str, str], front: Front, consume: Consume, topic: Topic
) -> None:
    rows = some_applications(300)
    path = front.path("rejected.csv")
    path.write_bytes(applications_csv(rows))
    consumer = await consume(topic, **secured)

    code, printed = await front.command("produce", str(path), "--topic", topic.name, **secured)
    await all_loaded(front.sql, topic)

    assert (code, printed) == (
        0,
        f"rejected.csv: 300 messages sent to {topic.name}, 0 rows refused\n",
    )
    await check_values(front.sql, rows)
    await check_ledger(front.sql, topic)
    assert consumer.events_named("waiting") == []
    assert GIVEN["PASSWORD"] not in "\n".join(consumer.lines)


@pytest.mark.parametrize(
    ("secured", "code", "said"),
    [
        (
            login("PLAIN", KAFKA_SASL_PASSWORD="kanarienvogel"),
            2,
            "Error: Kafka refuses: sasl_ssl://{}/bootstrap: SASL authentication error: ",
        ),
        (
            login("SCRAM-SHA-512", KAFKA_SASL_PASSWORD="kanarienvogel"),
            2,
            "Error: Kafka refuses: sasl_ssl://{}/bootstrap: SASL authentication error: ",
        ),
        (
            login("PLAIN", KAFKA_SSL_CA_LOCATION=""),
            2,
            "Error: Kafka refuses: sasl_ssl://{}/bootstrap: SSL handshake failed: ",
        ),
        (
            certificate(KAFKA_SSL_CERTIFICATE_LOCATION="", KAFKA_SSL_KEY_LOCATION=""),
            3,
            "Error: The Kafka broker at {0} cannot be reached: ssl://{0}/bootstrap: ",
        ),
    ],
    ids=["password by PLAIN", "password by SCRAM", "unknown authority", "no certificate"],
)
async def test_a_refusal_is_said_and_nothing_is_sent(
    secured: Mapping[str, str], code: int, said: str, front: Front, topic: Topic
) -> None:
    path = front.path("rejected.csv")
    path.write_bytes(applications_csv(some_applications(3)))

    ended, printed = await front.command("produce", str(path), "--topic", topic.name, **secured)

    assert ended == code, printed
    assert len(printed.splitlines()) == 1
    assert printed.startswith(said.format(secured["KAFKA_BOOTSTRAP_SERVERS"]))
    assert "kanarienvogel" not in printed
    assert topic.messages() == []


async def test_a_stream_that_is_refused_says_so_and_loads_nothing(
    front: Front, consume: Consume, topic: Topic
) -> None:
    topic.send(["{}"])
    consumer = await consume(topic, **login("SCRAM-SHA-512", KAFKA_SASL_PASSWORD="kanarienvogel"))

    await consumer.wait_for("waiting")
    await consumer.stop()

    reason = consumer.events_named("waiting")[0]["reason"]
    assert reason.startswith(f"Kafka gives no messages of {topic.name!r}: sasl_ssl://")
    assert "SASL authentication error" in reason
    assert "kanarienvogel" not in "\n".join(consumer.lines)
    assert await front.ledger() == []
