"""What a batch costs is paid in threads, so that the event loop stays free."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import aclosing
from datetime import date
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest

from app import files
from app.domain import Facts, Reject, Route
from app.pipelines import loans
from app.readers import open_reader
from app.reading import Reading
from app.settings import Settings
from app.store import spool
from app.store.copy_format import encode_rows
from app.store.rejects import EncodedRejects, RejectSpool

HEADER = ("repayment_date", "loans", "defaults", "liquidations")
TODAY = date(2024, 5, 6)
ROUTE = Route(loans.PIPELINE, Facts(None, TODAY, TODAY), HEADER)
BAD_ROWS = 3000


async def test_bad_rows_are_encoded_and_written_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoding, writing = set[int](), set[int]()

    class WatchedFile(SpooledTemporaryFile[bytes]):
        def write(self, content: Any) -> int:
            writing.add(threading.get_ident())
            return super().write(content)

    class WatchedSpool(RejectSpool):
        def encode(self, bad: Sequence[Reject]) -> EncodedRejects:
            encoding.add(threading.get_ident())
            return super().encode(bad)

    monkeypatch.setattr(spool, "SpooledTemporaryFile", WatchedFile)
    path = tmp_path / "loans.csv"
    bad_rows = (f"not a day {number},3,1,1\n" for number in range(BAD_ROWS))
    path.write_text(",".join(HEADER) + "\n" + "".join(bad_rows))
    settings = Settings(max_rejected_ratio=1.0)
    with files.open_file(path) as opened, WatchedSpool(7) as bad:
        reader = open_reader(opened, path.name)
        reading = Reading(reader, ROUTE, bad, settings, lambda _bytes_read: None)
        async with aclosing(reading.rows(HEADER, encode_rows)) as rows:
            assert [row async for row in rows] == []

    assert (bad.count, reading.tally.rows_read) == (BAD_ROWS, BAD_ROWS)
    assert [each.line_number for each in bad.first] == list(range(2, 22))
    assert encoding
    assert writing
    assert threading.get_ident() not in encoding | writing
