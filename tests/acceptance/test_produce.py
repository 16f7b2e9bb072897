"""A file sent to a topic: each row as it stands, the broken ones told of, nothing lost."""

from __future__ import annotations

import gzip
import json
import time

import pytest

from tests.acceptance.front_door import Front
from tests.applications import HEADER
from tests.brokers import Topic
from tests.loading import csv_text

DAYS = ("2007-12-31", "2008-01-01", "2009-12-31", "2010-01-01", "no day", "2008-13-45")
ROWS = [
    (f"{n}.50", day, f'a "title", {n}\nin two lines', "", " 10% ", f"{n:03}xx", "é", "", "0")
    for n, day in enumerate(DAYS)
]


def as_message(row: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(HEADER, row, strict=True))


async def produce(front: Front, topic: Topic, name: str, *words: str) -> tuple[int, str]:
    return await front.command(
        *("produce", str(front.path(name)), "--topic", topic.name, *words),
        KAFKA_BOOTSTRAP_SERVERS=topic.address,
    )


async def test_each_row_is_a_message_with_its_text_unchanged(front: Front, topic: Topic) -> None:
    front.path("risk_scores.csv.gz").write_bytes(gzip.compress(csv_text(HEADER, ROWS).encode()))

    code, printed = await produce(front, topic, "risk_scores.csv.gz")

    assert (code, printed) == (
        0,
        f"risk_scores.csv.gz: 6 messages sent to {topic.name}, 0 rows refused\n",
    )
    found = topic.messages()
    by_key = sorted(found, key=lambda each: each.key or b"")
    assert [each.key for each in by_key] == [row[5].encode() for row in ROWS]
    assert [json.loads(each.value or b"") for each in by_key] == [as_message(row) for row in ROWS]
    assert all(each.headers == [("schema-version", b"1")] for each in found)


async def test_rows_with_one_zip_code_go_to_one_partition_in_their_order(
    front: Front, topic: Topic
) -> None:
    rows = [(*row[:5], f"{n % 7}xx", *row[6:]) for n in range(70) for row in [ROWS[n % 6]]]
    numbered = [(f"{n}", *row[1:]) for n, row in enumerate(rows)]
    front.path("rejected.csv").write_text(csv_text(HEADER, numbered))

    await produce(front, topic, "rejected.csv")

    by_key: dict[bytes, list[tuple[int, int]]] = {}
    for each in topic.messages():
        number = int(json.loads(each.value or b"")["Amount Requested"])
        by_key.setdefault(each.key or b"", []).append((each.partition, number))
    assert len(by_key) == 7
    for sent in by_key.values():
        assert len({partition for partition, _ in sent}) == 1
        assert [number for _, number in sent] == sorted(number for _, number in sent)


async def test_a_row_without_a_zip_code_has_no_key(front: Front, topic: Topic) -> None:
    row = (*ROWS[0][:5], "", *ROWS[0][6:])
    front.path("rejected.csv").write_text(csv_text(HEADER, [row]))

    await produce(front, topic, "rejected.csv")

    [message] = topic.messages()
    assert message.key is None
    assert json.loads(message.value or b"") == as_message(row)


async def test_only_the_years_asked_for_are_sent_and_rows_without_a_year(
    front: Front, topic: Topic
) -> None:
    front.path("rejected.csv").write_text(csv_text(HEADER, ROWS))

    code, printed = await produce(front, topic, "rejected.csv", "--years", "2008-2009")

    assert (code, printed) == (
        0,
        f"rejected.csv: 4 messages sent to {topic.name}, 0 rows refused, 2 of other years\n",
    )
    days = [json.loads(each.value or b"")["Application Date"] for each in topic.messages()]
    assert sorted(days) == ["2008-01-01", "2008-13-45", "2009-12-31", "no day"]


async def test_rows_whose_structure_is_broken_are_told_of_and_not_sent(
    front: Front, topic: Topic
) -> None:
    good = csv_text(HEADER, ROWS[:1])
    front.path("rejected.csv").write_text(f"{good}1,2\n")

    code, printed = await produce(front, topic, "rejected.csv")

    assert (code, printed) == (
        0,
        "line 4: 2 fields, expected 9\n    1,2\n"
        f"rejected.csv: 1 messages sent to {topic.name}, 1 rows refused\n",
    )
    assert len(topic.messages()) == 1


async def test_the_header_may_be_written_as_in_any_file_of_the_feed(
    front: Front, topic: Topic
) -> None:
    names = [name.upper().replace(" ", "_") for name in HEADER]
    front.path("any_name.csv").write_text(csv_text(names, ROWS[:1]))

    await produce(front, topic, "any_name.csv")

    [message] = topic.messages()
    assert json.loads(message.value or b"") == as_message(ROWS[0])


async def test_a_rate_is_kept(front: Front, topic: Topic) -> None:
    front.path("rejected.csv").write_text(csv_text(HEADER, ROWS))

    began = time.monotonic()
    await produce(front, topic, "rejected.csv", "--rate", "5")

    # The first of six is sent at once.
    assert time.monotonic() - began >= 5 / 5
    assert len(topic.messages()) == 6


@pytest.mark.parametrize(
    ("name", "content", "words", "code", "said"),
    [
        (
            "loans.csv",
            "a,b\n1,2\n",
            (),
            1,
            "Error: Found the header 'a', 'b'; expected the columns",
        ),
        ("gone.csv", None, (), 1, "gone.csv; expected a file. To do: check the path"),
        ("rejected.csv", "", ("--years", "2009-2008"), 2, "is not years as 2007 or 2008-2009"),
        ("rejected.csv", "", ("--rate", "0"), 2, "Invalid value for '--rate'"),
    ],
)
async def test_what_cannot_be_sent_is_said(
    name: str,
    content: str | None,
    words: tuple[str, ...],
    code: int,
    said: str,
    front: Front,
    topic: Topic,
) -> None:
    if content is not None:
        front.path(name).write_text(content)

    ended, printed = await produce(front, topic, name, *words)

    assert ended == code
    assert said in printed
    assert topic.messages() == []
