"""Files made to harm the service, small to keep and quick to make."""

from __future__ import annotations

import gzip
import io
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

MIB = 1 << 20
LOANS_HEADER = b"repayment_date,loans,defaults,liquidations\n"
TITLES_HEADER = b"title,pdl count\n"
SQL = "'; DROP SCHEMA warehouse CASCADE; --"
FORMULAS = ("=cmd|' /C calc'!A0", "+1+cmd|1", "-1+cmd|1", "@SUM(1+1)", "\t=1+1", "=1+1")


def gzip_bomb() -> bytes:
    """70 MiB of rows in 70 members of 4 kB each."""
    rows = b"2022-01-01,1,0,0\n" * (MIB // 17)
    return gzip.compress(LOANS_HEADER) + gzip.compress(rows, 9) * 70


def zstd_bomb() -> bytes:
    """10 GiB of zeros in less than 1 MB."""
    frame = zstandard.ZstdCompressor().compress(bytes(64 * MIB))
    return zstandard.ZstdCompressor().compress(LOANS_HEADER) + frame * 160


def dictionary_bomb() -> bytes:
    """A text of 1 MiB that is meant two million times."""
    column = pa.DictionaryArray.from_arrays(
        pa.array([0] * 2_000_000, pa.int32()), pa.array(["a" * MIB])
    )
    table = pa.table({"title": column, "pdl count": pa.nulls(2_000_000, pa.int64())})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", store_schema=False)
    return sink.getvalue()


def cut_short(content: bytes) -> bytes:
    """Takes some pages out of the middle; the footer does not know."""
    return content[: len(content) // 2] + content[len(content) // 2 + 100 :]


def beyond_all_calendars() -> bytes:
    """A date that Polars would panic about, and one that Python has not."""
    days = pa.array([2**31 - 1, 2_932_897, *range(19_000, 19_030)], pa.int32()).view(pa.date32())
    counts = pa.array([1] * len(days), pa.int64())
    names = ["repayment_date", "loans", "defaults", "liquidations"]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([days, counts, counts, pa.array([0] * 32)], names), sink)
    return sink.getvalue()


def wide() -> bytes:
    return b",".join([b"title,pdl count", *(b"r%d" % k for k in range(99_998))]) + b"\nowner,1\n"


def write_long_line(path: Path) -> None:
    """1 GiB that the disk does not hold."""
    with path.open("wb") as file:
        file.write(LOANS_HEADER)
        file.truncate(1 << 30)


# Each of them is refused: its name, its content, and words of the reason.
REFUSED = {
    "loans_bomb.csv.gz": (gzip_bomb, "MAX_COMPRESSION_RATIO"),
    "loans_bomb.csv.zst": (zstd_bomb, "MAX_COMPRESSION_RATIO"),
    "titles_bomb.parquet": (dictionary_bomb, "MAX_PARQUET_MEMORY_BYTES"),
    "titles_lie.parquet": (lambda: cut_short(beyond_all_calendars()), "sound Parquet"),
    "titles_wide.csv": (wide, "MAX_COLUMNS"),
    "titles_keys.jsonl": (
        lambda: b"{" + b",".join(b'"k%d":1' % k for k in range(3_000)) + b"}\n" + b"{}\n" * 99_999,
        "MAX_COLUMNS",
    ),
    "loans_quotes.csv": (
        lambda: LOANS_HEADER + (b'"' * 999 + b"\n") * 999,
        "999 bad rows",
    ),
    "loans_short_lines.csv": (lambda: LOANS_HEADER + b"x\n" * 100_000, "100000 bad rows"),
    "titles_nested.jsonl": (lambda: b'{"title":' + b"[" * 500_000, "nested"),
    "titles_header.csv": (f"title{SQL},pdl count\na,1\n".encode, "DROP SCHEMA"),
    "loans_nul.csv": (lambda: LOANS_HEADER + bytes(999), "NUL"),
}

# Rows of good files that are rejected one by one.
BAD_LOANS = [
    "2022-01-01,9223372036854775808,0,0",
    "2022-01-01," + "9" * 4_000 + ",0,0",
    "0000-01-01,1,0,0",
    "10000-01-01,1,0,0",
    "-262144-01-01,1,0,0",
    "2022-01-01,inf,0,0",
    "2022-01-01,NaN,0,0",
    "2022-01-01,1\0,0,0",
    f'2022-01-01,"{SQL}",0,0',
    *(f'"{formula}",1,0,0' for formula in FORMULAS),
]
GOOD_DAYS = [date.fromordinal(date(2021, 1, 1).toordinal() + k) for k in range(300)]


def loans_among_bad_rows() -> bytes:
    good = [f"{day},10,1,1" for day in GOOD_DAYS]
    return LOANS_HEADER + "\n".join([*BAD_LOANS, *good, ""]).encode()


# Titles that are kept as they are but for their case: text is text.
ODD_TITLES = [SQL, *FORMULAS[:4], "\\n", "\\.", "%s", "{}", "\u202edlrow", "\U0010ffff"]


def titles_as_utf16() -> bytes:
    """With half of a character in one row, which costs that row alone."""
    rows = [f'"{title}",{k}' for k, title in enumerate(ODD_TITLES, 1)]
    text = "\r\n".join(["title,pdl count", *rows, "half \ud800,1", ""])
    return b"\xff\xfe" + text.encode("utf-16-le", "surrogatepass")


def titles_as_json() -> bytes:
    rows = [b'{"title": "json %d", "pdl count": %d}' % (k, k) for k in range(20)]
    bad = [b'{"title": "half \\ud800", "pdl count": 1}', b'{"title": "nul \\u0000"}']
    return b"\n".join([*rows, *bad, b""])
