"""Plain blocks are read in one go, and that must never show: same rows, same rejects."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

import dataframely as dy
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import contract as contracts
from app.domain import Facts, Pipeline, Reject, Route
from app.readers import open_reader, plain
from app.readers.structure import Shape
from app.rules import Contract

# The machine may be busy; how long one example takes says nothing.
unhurried = settings(deadline=None, max_examples=60)

NAMES = ("at", "number", "day")
COMMA = Shape(ord(","), 3)


class Measured(Contract):
    """A column of each type that can be plain."""

    at = dy.Datetime(nullable=False)
    number = dy.Int64(nullable=False)
    day = dy.Date(nullable=False)


TYPES = {name: Measured.columns()[name].dtype for name in NAMES}
PIPELINE = Pipeline("measured", "*", re.compile(""), (), lambda _facts: Measured)
ROUTE = Route(PIPELINE, Facts(None, date(2024, 1, 1), date(2024, 1, 1)), NAMES)


def load(
    content: bytes, types: Mapping[str, pl.DataType], block_bytes: int = 1 << 20
) -> tuple[list[tuple[object, ...]], Sequence[Reject]]:
    """Gives the rows that keep the contract, and the rejects."""
    reader = open_reader(io.BytesIO(content), "x.csv", block_bytes=block_bytes)
    rows: list[tuple[object, ...]] = []
    rejects: list[Reject] = []
    for batch in reader.batches(NAMES, types):
        checked = contracts.check(batch, ROUTE, Measured)
        rows += checked.frame.rows()
        rejects += checked.rejects
    return rows, rejects


@pytest.fixture(params=[plain.SMALL_BLOCK_BYTES, 0], ids=["small", "large"], autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Small blocks and large ones are read in different ways."""
    usual, plain.SMALL_BLOCK_BYTES = plain.SMALL_BLOCK_BYTES, request.param
    yield
    plain.SMALL_BLOCK_BYTES = usual


def read(body: bytes) -> pl.DataFrame | None:
    return plain.read_plain(body, COMMA, TYPES)


def nearly(pattern: str) -> st.SearchStrategy[str]:
    """Fields of a pattern, often with one character too many or another one."""
    fields = st.from_regex(pattern, fullmatch=True)
    odd = st.sampled_from([*' \t\r+-.:TZxX"\0e_,', "\ufeff", "é", "٣"])
    spoiled = st.tuples(fields, odd, st.integers(0, 12)).map(
        lambda parts: parts[0][: parts[2]] + parts[1] + parts[0][parts[2] :]
    )
    return fields | fields | fields | spoiled


INSTANTS = nearly(
    r"[0-9]{4}-(0[0-9]|1[0-3])-[0-3][0-9]"
    r"([ T]([0-2][0-9](:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,9})?)?)?)?(Z|\+01)?)?"
)
NUMBERS = nearly(r"-?0{0,3}[0-9]{1,19}|0x[0-9a-f]{2}|")
DAYS = nearly(r"[0-9]{4}-(0[0-9]|1[0-3])-[0-3][0-9]")
PLAIN_ROW = "2023-05-06 07:08:09,10,2023-01-02"
DAMAGED = st.sampled_from(
    [
        b"",
        b"\r",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf" + PLAIN_ROW.encode(),
        PLAIN_ROW.encode() + b"\r",
        PLAIN_ROW.replace("10", "\u00e9").encode(),
        PLAIN_ROW.replace("10", '"1\n0"').encode(),
        PLAIN_ROW.replace("10", '"10').encode(),
        PLAIN_ROW.replace("10", '"10"').encode(),
        PLAIN_ROW.replace("10", '1"0').encode(),
        PLAIN_ROW.replace("10", '"1"0').encode(),
        f'"{PLAIN_ROW}'.encode(),
        f'{PLAIN_ROW}"'.encode(),
        f"{PLAIN_ROW},".encode(),
        PLAIN_ROW.encode().replace(b"0", b"\xb0"),
        PLAIN_ROW.replace("10", "1234567890123456789").encode(),
        PLAIN_ROW.replace("10", "9223372036854775808").encode(),
        PLAIN_ROW.replace("2023-01-02", "2024-02-29").encode(),
        PLAIN_ROW.replace("2023-01-02", "2023-02-29").encode(),
    ]
)
ROWS = st.tuples(INSTANTS, NUMBERS, DAYS).map(",".join) | st.just(PLAIN_ROW)


@unhurried
@given(
    st.lists(ROWS, min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"]), st.integers(40, 400)
)
def test_a_file_gives_the_same_rows_and_rejects_plain_or_patient(
    rows: list[str], line_end: str, block_bytes: int
) -> None:
    content = (line_end.join([",".join(NAMES), *rows]) + line_end).encode()

    assert load(content, TYPES, block_bytes) == load(content, {}, block_bytes)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.just(PLAIN_ROW.encode()) | DAMAGED, min_size=1, max_size=12),
    st.sampled_from([b"\n", b"\r\n"]),
    st.integers(40, 400),
)
def test_damage_among_plain_rows_costs_the_same_rows_as_among_text(
    rows: list[bytes], line_end: bytes, block_bytes: int
) -> None:
    # The mark keeps the encoding out of doubt.
    header = b"\xef\xbb\xbf" + ",".join(NAMES).encode()
    content = line_end.join([header, *rows]) + line_end

    assert load(content, TYPES, block_bytes) == load(content, {}, block_bytes)


@unhurried
@given(INSTANTS, NUMBERS, DAYS)
def test_one_row_is_read_alike_plain_or_patient(at: str, number: str, day: str) -> None:
    content = f"{','.join(NAMES)}\n{at},{number},{day}\n".encode()

    assert load(content, TYPES) == load(content, {})


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_rows_as_programs_write_them_are_plain(line_end: str) -> None:
    body = line_end.join(
        [
            "2023-01-02 03:04:05,6,2023-07-08",
            "1000-01-01T00:00:00.123456,-9223372036854775808,1000-01-01",
            "9999-12-31 23:59:59,9223372036854775807,9999-12-31",
            "",
        ]
    )

    frame = read(body.encode())

    assert frame is not None
    assert frame.rows() == [
        (datetime.fromisoformat("2023-01-02 03:04:05"), 6, date(2023, 7, 8)),
        (datetime.fromisoformat("1000-01-01 00:00:00.123456"), -(2**63), date(1000, 1, 1)),
        (datetime.fromisoformat("9999-12-31 23:59:59"), 2**63 - 1, date(9999, 12, 31)),
    ]


@pytest.mark.parametrize(
    "row",
    [
        b"2023-01-02 03:04:05,,2023-07-08",
        b"2023-01-02 03:04:05,0x1F,2023-07-08",
        b"2023-01-02 03:04:05,6",
        b"2023-01-02 03:04:05,6,2023-07-08,",
        b'2023-01-02 03:04:05,"6",2023-07-08',
        b"2023-01-02 03:04:05,6\0,2023-07-08",
        b"2023-01-02 03:04:60,6,2023-07-08",
        b"2023-02-30 03:04:05,6,2023-07-08",
        b"0999-12-31 03:04:05,6,2023-07-08",
        b"2023-01-02 03:04:05,6,0999-12-31",
        b"0000-01-01 03:04:05,6,2023-07-08",
        b"2023-01-02 03:04:05,6,0000-01-01",
        b"2023-01-02 03:04:05,9223372036854775808,2023-07-08",
        b"",
        b" ",
        PLAIN_ROW.encode() + b"\r" + PLAIN_ROW.encode(),
        b"2023-01-02 03:04:05,6," + b"2023-07-08" + (2 << 20) * b" ",
    ],
)
def test_a_block_with_anything_odd_is_not_plain(row: bytes) -> None:
    around = PLAIN_ROW.encode()

    assert read(b"\n".join([around, row, around, b""])) is None


def test_a_byte_order_mark_inside_the_text_is_part_of_its_row() -> None:
    assert read("\ufeff".encode() + PLAIN_ROW.encode() + b"\n") is None


def test_columns_of_text_and_of_other_numbers_are_not_plain() -> None:
    types = {"at": pl.String(), "number": pl.Int64(), "day": pl.Date()}

    assert not plain.can_be_plain(COMMA, NAMES, types)
    assert not plain.can_be_plain(COMMA, NAMES, types | {"at": pl.Float64()})
    assert not plain.can_be_plain(COMMA, NAMES, {})
    assert not plain.can_be_plain(Shape(0, 1), ("number",), types)


def test_line_numbers_and_raw_texts_of_plain_rows_are_those_of_the_file() -> None:
    rows = [f"2023-01-02 03:04:05,{number},2023-07-08" for number in range(100)]
    content = "\n".join([",".join(NAMES), *rows, ""]).encode()
    reader = open_reader(io.BytesIO(content), "x.csv", block_bytes=256)

    batches = list(reader.batches(NAMES, TYPES))

    assert len(batches) > 5
    assert [line for batch in batches for line in batch.frame["line_number"]] == [*range(2, 102)]
    assert [row for batch in batches for row in batch.frame["row_number"]] == [*range(1, 101)]
    assert [
        text for batch in batches for text in batch.raw_texts(batch.frame["line_number"].to_list())
    ] == rows
    assert all(batch.frame.schema["number"] == pl.Int64 for batch in batches)


def test_odd_rows_of_a_block_are_read_or_refused_one_by_one() -> None:
    good = PLAIN_ROW.encode()
    body = b"\n".join(
        [
            ",".join(NAMES).encode(),
            good,
            b"2023-01-02,5.0,2023-07-08",  # for the patient way, which can read it
            good,
            b"2023-01-02 03:04:05,many,2023-07-08",
            b"2023-01-02 03:04:05,6",
            good + "é".encode(),
            good,
            b"",
        ]
    )
    [batch] = open_reader(io.BytesIO(body), "x.csv").batches(NAMES, TYPES)

    checked = contracts.check(batch, ROUTE, Measured)

    plain_row = (datetime.fromisoformat("2023-05-06 07:08:09"), 10, date(2023, 1, 2))
    assert checked.frame.select("line_number", *NAMES).rows() == [
        (2, *plain_row),
        (3, datetime.fromisoformat("2023-01-02"), 5, date(2023, 7, 8)),
        (4, *plain_row),
        (8, *plain_row),
    ]
    assert [(each.line_number, each.column_name) for each in checked.rejects] == [
        (5, "number"),
        (6, None),
        (7, "day"),
    ]
    assert [each.raw for each in checked.rejects] == [
        "2023-01-02 03:04:05,many,2023-07-08",
        "2023-01-02 03:04:05,6",
        PLAIN_ROW + "é",
    ]


def test_after_an_odd_row_blocks_are_soon_read_in_one_go_again() -> None:
    odd = PLAIN_ROW.replace("10", "5.0")
    content = "\n".join([",".join(NAMES), odd, *[PLAIN_ROW] * 100, ""]).encode()
    reader = open_reader(io.BytesIO(content), "x.csv", block_bytes=256)

    batches = list(reader.batches(NAMES, TYPES))

    assert len(batches) > 5
    for batch in batches[1:]:
        assert batch.frame.schema["number"] == pl.Int64
        assert batch.text_rows is None


def test_only_the_odd_rows_of_a_large_block_are_text() -> None:
    rows = [PLAIN_ROW] * 5_000
    rows[7], rows[4_321], rows[4_999] = "2023-05-06,10,2023-01-02", ",,", f"{PLAIN_ROW} "
    rows[3_000] = "neither"
    content = "\n".join([",".join(NAMES), *rows, ""]).encode()

    [batch] = open_reader(io.BytesIO(content), "x.csv").batches(NAMES, TYPES)

    assert batch.frame.schema["number"] == pl.Int64
    assert batch.frame.height == 4_996
    assert batch.text_rows is not None
    assert batch.text_rows["line_number"].to_list() == [9, 4_323, 5_001]
    assert batch.text_rows["row_number"].to_list() == [8, 4_322, 5_000]
    assert [each.line_number for each in batch.rejects] == [3_002]
    checked = contracts.check(batch, ROUTE, Measured)
    assert checked.frame["line_number"].to_list() == [
        line for line in range(2, 5_002) if line not in (3_002, 4_323)
    ]
    assert [(each.line_number, each.raw) for each in checked.rejects] == [
        (3_002, "neither"),
        (4_323, ",,"),
    ]
