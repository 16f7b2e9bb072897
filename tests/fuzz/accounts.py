"""What has to hold for any file whatsoever: all of it is accounted for, or it is refused in words.

Brings a file as far as COPY would take it, without a database: reader, router, contract, encoding.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime

import zstandard

from app import router
from app.domain import Batch, Reject
from app.errors import FileError
from app.pipelines import all_pipelines
from app.readers import Limits, open_reader
from app.reading import check_batch, read_batches
from app.store.copy_format import Encoded, encode_rows
from app.store.rejects import RejectSpool

ARRIVED_AT = datetime(2024, 5, 6, 12, tzinfo=UTC)
PIPELINES = all_pipelines()
# Small, so that small files come upon them.
LIMITS = Limits(line_bytes=4 << 10, columns=50, uncompressed_bytes=1 << 20)
BLOCK_BYTES = (7, 64, 1_000, 2 << 20)
# Elsewhere it takes a reading of the file to say what its lines are.
HAS_PLAIN_LINES = re.compile(rb"(?:[^\r]|\r\n)*+\Z")


def bring_in(content: bytes, name: str, block_bytes: int = 2 << 20) -> FileError | None:
    """Gives the refusal of a file that is refused; fails where not all of it is accounted for."""
    try:
        covered = read_all(content, name, block_bytes)
    except FileError as refusal:
        require_words(refusal)
        return refusal
    assert covered == sorted(set(covered)), "a line is in two rows"
    lines = lines_of(content, name)
    if lines is not None:
        require_no_line_lost(lines, covered)
    return None


def require_words(refusal: FileError) -> None:
    assert refusal.found
    assert refusal.expected
    assert refusal.remedy
    assert "\0" not in str(refusal)
    str(refusal).encode()  # the ledger holds text only


def read_all(content: bytes, name: str, block_bytes: int) -> list[int]:
    """Gives the numbers of the lines that are in rows or rejects."""
    reader = open_reader(io.BytesIO(content), name, block_bytes=block_bytes, limits=LIMITS)
    route = router.route(name, None, reader.header, ARRIVED_AT, PIPELINES)
    contract = route.pipeline.contract(route.facts)
    columns = contract.column_names()
    covered: list[int] = []
    with RejectSpool(1) as rejects:
        for batch in read_batches(reader, route, contract):
            checked = check_batch(batch, route, contract, columns, size_of_rows, rejects.encode)
            assert checked.rows_staged + len(checked.rejects) == batch.height + len(batch.rejects)
            covered += lines_in(batch, has_lines=not name.endswith(".parquet"))
    return sorted(covered)


def size_of_rows(frame: object) -> int:
    encoded: Encoded = encode_rows(frame)  # type: ignore[arg-type]  # the contract's frame
    return len(encoded)


def lines_in(batch: Batch, *, has_lines: bool) -> list[int]:
    """has_lines: a row may go over several, and its text then holds their ends."""
    frames = [batch.frame] if batch.text_rows is None else [batch.frame, batch.text_rows]
    numbers = [line for frame in frames for line in frame["line_number"]]
    raws = batch.raw_texts(numbers)
    firsts: Sequence[tuple[int, str]] = [
        *zip(numbers, raws, strict=True),
        *((each.line_number, require_storable(each).raw) for each in batch.rejects),
    ]
    if not has_lines:
        return [first for first, _ in firsts]
    return [line for first, raw in firsts for line in range(first, first + raw.count("\n") + 1)]


def require_storable(reject: Reject) -> Reject:
    assert reject.reason
    for text in (reject.reason, reject.raw):
        assert "\0" not in text
        text.encode()
    return reject


def lines_of(content: bytes, name: str) -> list[bytes] | None:
    """The file's lines by Python's own means; None where that takes more than splitting."""
    if name.endswith((".parquet", ".jsonl")):
        return None
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    elif name.endswith(".zst"):
        content = (
            zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True).read()
        )
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content[:256]:
        return None
    if not HAS_PLAIN_LINES.match(content) or max(map(len, content.split(b"\n"))) > 4 << 10:
        return None
    return content.split(b"\n")


def require_no_line_lost(lines: Sequence[bytes], covered: Sequence[int]) -> None:
    """Lines before the first row are the header's; of all others only blank ones may be missing."""
    known = set(covered)
    header = next((number for number, line in enumerate(lines, 1) if header_text(line)), 1)
    lost = [
        number
        for number, line in enumerate(lines, 1)
        if number not in known and number > header and header_text(line)
    ]
    # A header with quoted line ends goes on over some lines.
    goes_on = list(range(header + 1, header + 1 + len(lost)))
    assert lost in ([], goes_on if b'"' in lines[header - 1] else []), f"lines {lost} are lost"
    assert not known or min(known) > header
    assert not known or max(known) <= len(lines)


def header_text(line: bytes) -> bytes:
    return line.removeprefix(b"\xef\xbb\xbf").strip()
