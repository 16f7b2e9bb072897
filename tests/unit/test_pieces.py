"""A batch in pieces holds the same as the whole one; only what may need it is cut."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest

from app import pieces
from app.domain import Batch, Reject
from app.pieces import Cutter, cut
from tests.unit.batches import batch_of

ROWS = [(f"row {number}",) for number in range(10)]


def bad(*lines: int) -> list[Reject]:
    return [Reject(line, None, "a reason", f"line {line}") for line in lines]


def with_rejects(rejects: Sequence[Reject]) -> Batch:
    """Rows on the lines 5 to 14, and rejects between them."""
    whole = batch_of(("name",), ROWS, first_line=5)
    return Batch(whole.frame, rejects, whole.raw_texts, 77)


@pytest.mark.parametrize("most_rows", [1, 3, 5, 9, 10, 11])
@pytest.mark.parametrize("lines", [(), (1,), (99,), (1, 2, 99, 100)])
def test_pieces_hold_the_same_rows_rejects_and_texts_in_the_same_order(
    most_rows: int, lines: Sequence[int]
) -> None:
    whole = with_rejects(bad(*lines))
    parts = list(cut(whole, most_rows))
    assert [len(part.frame) for part in parts] == [
        min(most_rows, len(ROWS) - start) for start in range(0, len(ROWS), most_rows)
    ]
    assert [row for part in parts for row in part.frame.rows()] == whole.frame.rows()
    assert [reject for part in parts for reject in part.rejects] == bad(*lines)
    texts = [text for part in parts for text in part.raw_texts(part.frame["line_number"].to_list())]
    assert texts == [name for (name,) in ROWS]
    assert {part.bytes_read for part in parts} == {77}


def test_each_reject_goes_with_the_rows_around_it() -> None:
    frame = batch_of(("name",), ROWS, first_line=5).frame.filter(
        ~pl.col("line_number").is_in([6, 9, 12])
    )
    whole = Batch(frame, bad(6, 9, 12), lambda _positions: [], 0)
    parts = [
        (part.frame["line_number"].to_list(), [each.line_number for each in part.rejects])
        for part in cut(whole, 3)
    ]
    assert parts == [([5, 7, 8], [6, 9]), ([10, 11, 13], [12]), ([14], [])]


def test_each_row_of_text_goes_with_the_typed_rows_around_it() -> None:
    rows = batch_of(("name",), ROWS, first_line=5).frame
    is_text = pl.col("line_number").is_in([5, 8, 9, 14])
    whole = Batch(rows.filter(~is_text), [], lambda _lines: [], 0, rows.filter(is_text))
    parts = [
        [
            frame["line_number"].to_list()
            for frame in (part.frame, part.text_rows)
            if frame is not None
        ]
        for part in cut(whole, 3)
    ]
    assert parts == [[[6, 7, 10], [5, 8, 9]], [[11, 12, 13], [14]]]


def test_a_batch_of_rejects_alone_is_one_piece() -> None:
    empty = batch_of(("name",), [])
    whole = Batch(empty.frame, bad(3, 4), empty.raw_texts, 0)
    assert list(cut(whole, 1)) == [whole]


def test_batches_are_cut_at_first_and_where_there_were_many_rejects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pieces, "MANY_REJECTS", 2)
    monkeypatch.setattr(pieces, "PIECE_ROWS", 4)
    monkeypatch.setattr(pieces, "MOST_ROWS", 6)
    cutter = Cutter()
    sizes = []
    rejects_of_each_batch = [0, 2, 3, 0]
    batches = cutter.pieces(with_rejects([]) for _ in rejects_of_each_batch)
    for count in rejects_of_each_batch:
        left = len(ROWS)
        while left:
            part = next(batches)
            sizes.append(len(part.frame))
            left -= len(part.frame)
        cutter.note(bad(*range(count)))
    assert sizes == [4, 4, 2, 6, 4, 6, 4, 4, 4, 2]
