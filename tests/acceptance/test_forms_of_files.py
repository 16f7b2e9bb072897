"""Every form a file may have, through the front door: a month in each, and the values of all."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from datetime import datetime

import polars as pl
import zstandard

from tests.acceptance.file_contents import Values, some_values
from tests.acceptance.front_door import Daemon, Front

Rows = list[tuple[int, datetime, int]]


def text(rows: Rows, delimiter: str = ",", end: str = "\n") -> str:
    """The month as delimited text, every line with its end."""
    lines = [("entity_id", "created_at", "value"), *rows]
    return "".join(delimiter.join(map(str, line)) + end for line in lines)


def json_lines(rows: Rows) -> bytes:
    return "".join(
        f'{{"entity_id": {id_}, "created_at": "{at}", "value": {value}}}\n'
        for id_, at, value in rows
    ).encode()


def parquet(rows: Rows) -> bytes:
    stored = io.BytesIO()
    pl.DataFrame(rows, ["entity_id", "created_at", "value"], orient="row").write_parquet(stored)
    return stored.getvalue()


FORMS: dict[str, Callable[[Rows], bytes]] = {
    ".csv": lambda rows: text(rows).encode(),
    ".semicolon.csv": lambda rows: text(rows, ";").encode(),
    ".tsv": lambda rows: text(rows, "\t").encode(),
    ".txt": lambda rows: text(rows, "|").encode(),
    ".bom.csv": lambda rows: text(rows).encode("utf-8-sig"),
    ".utf16.csv": lambda rows: text(rows).encode("utf-16"),
    ".crlf.csv": lambda rows: text(rows, end="\r\n").encode(),
    ".open_end.csv": lambda rows: text(rows).rstrip("\n").encode(),
    ".csv.gz": lambda rows: gzip.compress(text(rows).encode()),
    ".csv.zst": lambda rows: zstandard.compress(text(rows).encode()),
    ".jsonl": json_lines,
    ".parquet": parquet,
}


async def test_a_month_in_every_form_loads_with_its_values(front: Front, daemon: Daemon) -> None:
    wanted: Values = {}
    for month, (ending, write) in enumerate(FORMS.items(), start=1):
        values = some_values(50, seed=month, first=datetime(2023, month, 1))  # noqa: DTZ001
        wanted = {**wanted, **values}
        rows = [(id_, at, value) for (at, id_), value in values.items()]
        front.drop(f"entity_2023-{month:02}{ending}", write(rows))

    assert {status for _, status in await front.outcomes(len(FORMS))} == {"loaded"}
    assert await front.entity() == wanted


async def test_titles_in_cp1252_and_over_two_lines_load_and_a_header_alone_loads_nothing(
    front: Front, daemon: Daemon
) -> None:
    front.drop("titles_a.csv", "title,pdl count,\nBäcker,5,Käse\n".encode("cp1252"))
    front.drop("titles_b.csv", b'title,pdl count,\n"night\nnurse",7,"care, and more"\n')
    front.drop("titles_c.csv", b"title,pdl count\n")

    assert {status for _, status in await front.outcomes(3)} == {"loaded"}
    assert await front.rows(
        "SELECT title, related_title FROM warehouse.related_title ORDER BY title"
    ) == [("bäcker", "käse"), ("night nurse", "care, and more")]
