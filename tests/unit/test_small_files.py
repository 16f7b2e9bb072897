"""Small files give the same rows and rejects whether they are read by themselves or with others."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import router
from app.domain import Reject, Route
from app.pipelines import all_pipelines
from app.readers import Reader, open_reader
from app.reading import SmallFile
from app.small_files import MOST_ROWS, read_small_files

NOW = datetime(2024, 5, 6, tzinfo=UTC)
LOANS = "repayment_date,loans,defaults,liquidations"
OLDER_LOANS = (
    "Date of Repayment,Number of Loans,Default (as of 2023-05-09),Liquidation (as of 2023-05-09)"
)
TITLES = "title,pdl count,top related titles"

Named = tuple[str, str]


def loans(*rows: str, header: str = LOANS) -> Named:
    return "loans.csv", "\n".join([header, *rows, ""])


def titles(*rows: str) -> Named:
    return "titles.csv", "\n".join([TITLES, *rows, ""])


def opened(files: Sequence[Named]) -> list[tuple[Reader, Route]]:
    pairs = []
    for name, text in files:
        reader = open_reader(io.BytesIO(text.encode()), name)
        route = router.route(name, None, reader.header, NOW, all_pipelines())
        pairs.append((reader, route))
    return pairs


def seen_of(small: SmallFile | None) -> list[tuple[bytes, int, Sequence[Reject]]] | None:
    if small is None:
        return None
    return [(bytes(each.formed), each.rows_staged, list(each.rejects)) for each in small]


def together(files: Sequence[Named]) -> list[object]:
    return [seen_of(each) for each in read_small_files(opened(files))]


def one_by_one(files: Sequence[Named]) -> list[object]:
    return [seen_of(read_small_files([each])[0]) for each in opened(files)]


GOOD = loans("2022-01-01,10,2,1", "2022-01-02,20,3,2")
OLDER = loans("2022-01-03,30,4,3", header=OLDER_LOANS)
PATIENT = loans("2022-01-04,40.0,5,4")
EMPTY = loans()
NEGATIVE = loans("2022-01-05,10,2,1", "2022-01-06,-1,0,0")
UNREADABLE = loans("2022-01-07,10,2,1", "2022-01-08,many,0,0")
TORN = loans("2022-01-09,10,2,1", "2022-01-10,10")
JOBS = titles("Nurse,12,carer,doctor")
MONTH = ("entity_2023_01.csv", "entity_id,created_at,value\n1,2023-01-02 03:04:05,6\n")
FILES = (GOOD, OLDER, PATIENT, EMPTY, NEGATIVE, UNREADABLE, TORN, JOBS, MONTH)


@pytest.mark.parametrize("other", FILES)
def test_a_file_beside_sound_ones_is_read_as_by_itself(other: Named) -> None:
    files = [GOOD, OLDER, other, GOOD]

    assert together(files) == one_by_one(files)


@settings(deadline=None)
@given(st.lists(st.sampled_from(FILES), max_size=12))
def test_files_in_any_order_are_read_as_by_themselves(files: list[Named]) -> None:
    assert together(files) == one_by_one(files)


def test_files_of_many_rows_are_read_as_by_themselves() -> None:
    rows = [f"2022-01-{1 + number % 28:02},{number},0,0" for number in range(MOST_ROWS // 2)]
    files = [GOOD, loans(*rows), loans(*rows), GOOD, loans(*rows, "2022-01-01,-1,0,0"), OLDER]

    assert together(files) == one_by_one(files)


def test_each_file_has_its_own_rows_its_own_date_and_its_own_rejects() -> None:
    good, older, bad = read_small_files(opened([GOOD, OLDER, UNREADABLE]))

    assert good is not None
    assert older is not None
    assert bad is not None
    assert [each.rows_staged for each in (*good, *older, *bad)] == [2, 1, 1]
    # The as-of date is the last column: days since 2000 in four bytes.
    as_of = [int.from_bytes(bytes(each.formed)[-4:], "big") for each in (*good, *older)]
    assert as_of == [(NOW.date() - datetime(2000, 1, 1).date()).days, 8529]  # noqa: DTZ001
    assert [(each.line_number, each.column_name) for each in bad[0].rejects] == [(3, "loans")]


def test_a_file_that_is_a_month_is_left_to_its_load() -> None:
    assert read_small_files(opened([MONTH, GOOD]))[0] is None
