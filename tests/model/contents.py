"""The files that people have: a few for each feed, good and bad, alike enough to be mistaken."""

from __future__ import annotations

import gzip
import re

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# Two feed folders, two spellings of a month, a name of no feed; the endings say what is compressed.
NAMES = {
    "loans": ("loans.csv", "b_loans.csv", "loans/loans.csv", "loans.csv.gz"),
    "entity": (
        "entity_2023-01.csv",
        "new_entity_2023_01.csv",
        "entity/2023-01.csv",
        "entity_2023-02.csv",
        "entity_2023-02.csv.gz",
    ),
    "job_titles": ("titles.csv", "job_titles_b.csv"),
    "none": ("customers.csv",),
}

LAST_DIGIT = re.compile(rb"(\d)(?=\D*\Z)")
DIGITS = st.integers(0, 9)
LOANS_HEADERS = (
    "repayment_date,loans,defaults,liquidations",
    *(
        f"Date of Repayment,Number of Loans,Default (as of {as_of}),Liquidation (as of {as_of})"
        for as_of in ("2023-05-01", "2023-05-09")
    ),
)
TITLES = ("Data Engineer", " data  engineer", "Ärztin", "nurse")
TERMS = ("", "Doctor", "analyst", "medical  DOCTOR")


def rows_of(good: SearchStrategy[str], bad: tuple[str, ...]) -> SearchStrategy[list[str]]:
    """Some rows, mostly good ones."""
    return st.lists(st.one_of(good, good, good, st.sampled_from(bad)), max_size=6)


loans_rows = rows_of(
    st.builds("2023-04-0{},1{},{},{}".format, st.integers(1, 4), DIGITS, DIGITS, st.integers(0, 1)),
    ("2023-04-01,5,4,2", "2023-04-02,-5,0,0", "2023-04-03,50", "2999-01-01,50,1,1", "x,50,1,1"),
)
entity_rows = rows_of(
    st.builds("2023-01-0{} 10:00:0{},{},{}".format, st.integers(1, 2), DIGITS, DIGITS, DIGITS),
    ("2023-03-01 10:00:00,1,1", "2023-01-01 10:00:00,1,x", "2023-01-01 10:00:00", "x,1,1"),
)
february_rows = entity_rows.map(lambda rows: [row.replace("2023-01", "2023-02") for row in rows])
plain_rows = rows_of(
    st.builds("2023-01-0{} 10:00:0{},{}".format, st.integers(1, 2), DIGITS, DIGITS),
    ("2023-03-01 10:00:00,1", "2023-01-01 10:00:00,x", "2023-01-01 10:00:00"),
)
titles_rows = rows_of(
    st.builds(
        "{},{},{},{}".format,
        st.sampled_from(TITLES),
        DIGITS,
        st.sampled_from(TERMS),
        st.sampled_from(TERMS),
    ),
    (",5,nurse,nurse", "nurse,-5,,", "nurse,x,,", "nurse,5"),
)


def written(header: str, rows: list[str]) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


some_loans = st.builds(written, st.sampled_from(LOANS_HEADERS), loans_rows)
some_values = st.one_of(
    st.builds(written, st.just("created_at,entity_id,value"), entity_rows | february_rows),
    st.builds(written, st.just("created_at,value"), plain_rows),
)
some_titles = st.builds(written, st.just("title,pdl count,top related titles,"), titles_rows)
some_junk = st.sampled_from([b"", b"day,loans\n2023-04-01,1\n", b"one\ntwo\n"])


def twin(content: bytes) -> bytes:
    """Another content of the same size, as the correction of a digit is."""
    header, line, rows = content.partition(b"\n")
    return header + line + LAST_DIGIT.sub(lambda digit: b"%d" % (9 - int(digit[1])), rows)


def with_twins(some: SearchStrategy[bytes]) -> SearchStrategy[list[bytes]]:
    """Two contents and their twins."""
    pair = st.lists(some, min_size=2, max_size=2, unique=True)
    return pair.map(lambda contents: [*contents, *map(twin, contents)])


# What each example's people have at hand: so few that they drop the same again and again.
stocks = st.fixed_dictionaries(
    {
        "loans": with_twins(some_loans),
        "entity": with_twins(some_values),
        "job_titles": with_twins(some_titles),
        "none": some_junk.map(lambda junk: [junk] * 4),
    }
)


def as_file(name: str, content: bytes, *, is_damaged: bool) -> bytes:
    """The content as the ending says; damaged ones lack their end, or are of another feed."""
    if name.endswith(".gz"):
        packed = gzip.compress(content, mtime=0)
        return packed[:-6] if is_damaged else packed
    return content.replace(b",", b";x,", 1) if is_damaged else content
