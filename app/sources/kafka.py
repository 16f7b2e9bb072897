"""The way to Kafka: options of its clients, and their errors in our own words."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from app.errors import BrokerUnreachableError, ConfigError
from app.settings import Settings
from app.sources.kafka_security import security_options

# What the client says by itself, such as a line for each attempt to connect.
CLIENT_LOG = logging.getLogger("librdkafka")
ANSWER_SECONDS = 10.0
AWAY = (
    KafkaError._TRANSPORT,  # noqa: SLF001 - names of the client's own errors begin so
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
)


def client_options(settings: Settings) -> dict[str, Any]:
    """Gives what every client is made with.

    Raises ConfigError when no broker is set, or when settings do not go together.
    """
    if not settings.kafka_bootstrap_servers:
        raise ConfigError(
            "KAFKA_BOOTSTRAP_SERVERS is not set; name the brokers, as in localhost:9092"
        )
    CLIENT_LOG.setLevel(logging.DEBUG if settings.debug_logs else logging.CRITICAL)
    return {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "client.id": "sluice",
        "logger": CLIENT_LOG,
        **security_options(settings),
    }


def unreachable(settings: Settings, why: str) -> BrokerUnreachableError:
    """Gives the error for brokers that do not answer."""
    return BrokerUnreachableError(
        f"The Kafka broker at {settings.kafka_bootstrap_servers} cannot be reached: {why}"
    )


@contextmanager
def kafka_errors(settings: Settings) -> Iterator[None]:
    """Turns trouble with the brokers into BrokerUnreachableError or ConfigError."""
    try:
        yield
    except KafkaException as error:
        cause: KafkaError = error.args[0]
        if cause.code() in AWAY or cause.retriable():
            raise unreachable(settings, cause.str()) from error
        raise ConfigError(f"Kafka refuses: {cause.str()}") from error
