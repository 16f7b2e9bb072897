"""Files as people and programs break them, for Hypothesis to draw."""

from __future__ import annotations

import gzip
import io

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from hypothesis import strategies as st

# Of each feed: a name that is its own, its header, and a row that keeps all rules.
FEEDS = (
    (
        "loans",
        "Date of Repayment,Number of Loans,Default (as of 2023-05-09),"
        "Liquidation (as of 2023-05-09)",
        "2022-01-02,10,1,2",
    ),
    ("entity_2023-01", "created_at,value,entity_id", "2023-01-05 04:05:06,7,1"),
    ("entity_2023-01", "created_at,value", "2023-01-05T04:05:06.5Z,-7"),
    ("titles", "title,pdl count,top related titles,,x", "owner,12,chief,,boss"),
    (
        "rejected",
        "Amount Requested,Application Date,Loan Title,Risk_Score,Debt-To-Income Ratio,Zip Code,"
        "State,Employment Length,Policy Code",
        "1000.0,2007-05-26,Wedding,693.0,10%,481xx,NM,4 years,0.0",
    ),
)
ENDINGS = (".csv", ".tsv", ".txt", ".jsonl", ".csv.gz", ".csv.zst", ".parquet")
FIELDS = (
    *(
        "",
        " ",
        "0",
        "-1",
        "5.0",
        "1e5",
        "0x1F",
        "1_000",
        "+7",
        "--3",
        "٣",
        "NaN",
        "inf",
        "-Infinity",
    ),
    *(
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "9" * 400,
        "0." + "1" * 50,
    ),
    *("0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "2023-02-30", "2022-01-02 00:00:00"),
    *("2023-01-31 23:59:60", "2023-01-05T24:00:00", "2023-01-05 04:05:06+99:99", "2023-01-05 04"),
    *("9999-12-31 23:59:59-23:59", "0001-01-01 00:00:00+23:59", "-262144-01-01", "1582-10-10"),
    *("=cmd|' /C calc'!A0", "+1+1", "@SUM(A1)", "\t=1", "'; DROP TABLE ops.load; --", "\\N", "\\."),
    *(
        '"',
        '""',
        '"""',
        '"a',
        'a"',
        '"a"b',
        '"a\nb"',
        '"a,b"',
        "\0",
        "\x1a",
        "\x7f",
        "\u200f",
        "\ufeff",
    ),
    *("%s", "{}", "$1", ":x", "x" * 3_000, "é", "ß" * 1_400, "\U0010ffff", "ﷺ" * 20, "İ", "\u2028"),
)
BYTES = (
    *(b"\0", b"\xff", b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc3", b"\x81"),
    *(b'"', b'""', b"\n", b"\r", b"\r\n", b",", b";", b"\t", b"|", b" ", b"\\u0000", b"\\ud800"),
    *(b"[" * 3_000, b'{"a":' * 1_500, b"9" * 5_000, b"," * 200, b"\n" * 50),
)

fields = st.one_of(st.sampled_from(FIELDS), st.text(max_size=8))
encodings = st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])


@st.composite
def hostile_files(draw: st.DrawFn, endings: tuple[str, ...] = ENDINGS) -> tuple[bytes, str]:
    """A file's content and its name."""
    stem, header, sound_row = draw(st.sampled_from(FEEDS))
    ending = draw(st.sampled_from(endings))
    width = sound_row.count(",") + 1
    row = st.one_of(
        st.just(sound_row.split(",")),
        st.lists(fields, min_size=width, max_size=width),
        st.tuples(st.just(sound_row.split(",")), st.integers(0, width - 1), fields).map(
            lambda drawn: [*drawn[0][: drawn[1]], drawn[2], *drawn[0][drawn[1] + 1 :]]
        ),
        st.lists(fields, max_size=width + 2),
    )
    rows = draw(st.lists(row, max_size=12))
    if ending == ".parquet":
        content = as_parquet(header.split(","), rows)
    elif ending == ".jsonl":
        content = as_json(header.split(","), rows)
    else:
        content = as_text(draw, header, rows)
    content = damaged(draw, content)
    if draw(st.integers(0, 9)) and ending != ".parquet":
        content = compressed(content, ending)
    return content, draw(st.sampled_from([stem, stem.upper(), f"{stem};'--"])) + ending


def as_text(draw: st.DrawFn, header: str, rows: list[list[str]]) -> bytes:
    delimiter = draw(st.sampled_from(",,,;\t|"))
    line_end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    lines = [header.replace(",", delimiter), *(delimiter.join(row) for row in rows)]
    text = line_end.join(lines) + draw(st.sampled_from(["", line_end]))
    return text.encode(draw(encodings), "replace")


def as_json(names: list[str], rows: list[list[str]]) -> bytes:
    # By hand, as what is written here need not be JSON.
    lines = [
        "{" + ",".join(f'"{name}":"{field}"' for name, field in zip(names, row, strict=False)) + "}"
        for row in rows
    ]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def as_parquet(names: list[str], rows: list[list[str]]) -> bytes:
    columns = [
        pa.array([row[k] if k < len(row) else None for row in rows], pa.string())
        for k in range(len(names))
    ]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(columns, names), sink)
    return sink.getvalue()


def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    for _ in range(draw(st.sampled_from([0, 0, 1, 2, 5]))):
        at = draw(st.integers(0, len(content)))
        gone = draw(st.sampled_from([0, 0, 1, 3]))
        piece = draw(st.one_of(st.sampled_from(BYTES), st.binary(max_size=4)))
        content = content[:at] + piece + content[at + gone :]
    return content


def compressed(content: bytes, ending: str) -> bytes:
    if ending.endswith(".gz"):
        return gzip.compress(content, mtime=0)
    if ending.endswith(".zst"):
        return zstandard.ZstdCompressor().compress(content)
    return content
