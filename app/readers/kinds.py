"""First bytes -> what a file really is, so that a wrong name is told apart from wrong rows."""

from __future__ import annotations

import re
from typing import BinaryIO

from app.errors import FileError

HEAD_BYTES = 256
GZIP = "gzip-compressed data"
ZSTD = "zstd-compressed data"
SIGNATURES = (
    (rb"\x1f\x8b", GZIP),
    (rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", ZSTD),
    (rb"PK\x03\x04", "a zip archive or an Excel workbook"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Word document"),
    (rb"PAR1[\x00-\x1f]", "a Parquet file"),
    (rb"%PDF-", "a PDF document"),
    (rb"SQLite format 3\x00", "an SQLite database"),
    (rb"\xfd7zXZ\x00|7z\xbc\xaf\x27\x1c|BZh[1-9]1AY&SY", "an archive in an unknown compression"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8[79]a", "a picture"),
    (rb"\s*<(?i:\?xml|!doctype|html)", "a web page or an XML document"),
)


def name_kind(head: bytes) -> str | None:
    """What the first bytes say the file is; None if they may well be plain text."""
    for signature, kind in SIGNATURES:
        if re.match(signature, head):
            return kind
    return None


def check_text(head: bytes) -> None:
    """Raises FileError if a text file's first bytes belong to something else."""
    kind = name_kind(head)
    if kind is not None:
        raise FileError(
            found=f"{kind} under the name of a text file",
            expected="plain text, as the file's name says",
            remedy="export the data as text again, or give the file the ending of what it is",
        )


def check_compression(source: BinaryIO, compression: str | None) -> None:
    """Raises FileError if a compressed file is not what its name says; leaves source at 0."""
    head = source.read(HEAD_BYTES)
    source.seek(0)
    if compression is None or not head:
        return
    if name_kind(head) != {"gzip": GZIP, "zstd": ZSTD}[compression]:
        raise FileError(
            found=name_kind(head) or f"content that is not {compression}-compressed",
            expected=f"{compression}-compressed text, as the file's name says",
            remedy="compress the file again, or remove the last ending from its name",
        )
