"""Where the benchmark of the stream takes its broker from, and what its peer makes of messages."""

from __future__ import annotations

import json
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from confluent_kafka import Message

from benchmarks import bare_consumer, streams
from benchmarks.results import Timer


def test_the_broker_that_is_named_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "somewhere:9092")

    with streams.broker() as brokers:
        assert brokers == "somewhere:9092"


def test_without_java_the_row_is_left_out_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for tool in ("bash", "dirname"):
        found = shutil.which(tool)
        assert found
        (tmp_path / tool).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)

    assert list(streams.measure(Timer(1), quick=True)) == []

    said = capfd.readouterr()
    assert said.out == "row 15 is left out: it needs Java and Maven, or KAFKA_BOOTSTRAP_SERVERS\n"
    assert said.err == "java is not there; Java 17 or newer, Maven and OpenSSL are needed\n"


class Sent:
    """A message, as far as the peer looks at it."""

    def __init__(self, **fields: str) -> None:
        self._fields = fields

    def value(self) -> bytes:
        return json.dumps(self._fields).encode()


def test_the_peer_reads_fields_as_the_types_of_its_table() -> None:
    texts = "1000.0", "2008-01-31", "Wedding", "", "10%", "481xx", "NM", "4 years", "0.0"
    message = cast("Message", Sent(**dict(zip(bare_consumer.COLUMNS, texts, strict=True))))

    [row] = bare_consumer.rows_of([message])

    assert row == (
        *(Decimal("1000.0"), date(2008, 1, 31), "Wedding", None, "10%", "481xx", "NM", "4 years"),
        Decimal("0.0"),
    )
