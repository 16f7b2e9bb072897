"""Job titles are merged by title; a title's related terms are replaced as a list."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import asyncpg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import LoadCounts, LoadStatus
from app.settings import Settings
from tests.loading import SHARED_FILES, Folder, csv_text

Row = Sequence[str]
Titles = dict[str, tuple[int, list[str]]]
RELATED = [f"top related titles {n}" for n in range(1, 21)]
NAMED = ["title", "pdl count", *RELATED]
UNNAMED = ["title", "pdl count", *[""] * 20]


@pytest.fixture
def folder(settings: Settings, engine: AsyncEngine, sql: asyncpg.Connection) -> Folder:
    return Folder(settings, engine, sql)


def titles_file(rows: Iterable[Row], header: Sequence[str] = NAMED) -> str:
    return csv_text(header, ([*row, *[""] * (len(header) - len(row))] for row in rows))


def tidy(text: str) -> str:
    return re.sub(r"\s+", " ", text.lower()).strip()


def titles_of(rows: Sequence[Row]) -> Titles:
    """The titles of one file: largest count, and all terms, those of the largest count first."""
    titles: Titles = {}
    by_count = sorted(rows, key=lambda row: -int(row[1]))
    for title, count, *terms in by_count:
        _, known = titles.setdefault(tidy(title), (int(count), []))
        known += [term for term in dict.fromkeys(map(tidy, terms)) if term and term not in known]
    return titles


@dataclass
class Oracle:
    """What the warehouse has to hold after each file, by rules told over again."""

    kept: Titles = field(default_factory=dict)

    def merge(self, rows: Sequence[Row]) -> LoadCounts:
        titles = titles_of(rows)
        inserted = titles.keys() - self.kept.keys()
        changed = {title for title in titles if self.kept.get(title) != titles[title]}
        self.kept |= titles
        return LoadCounts(
            read=len(rows),
            inserted=len(inserted),
            updated=len(changed - inserted),
            unchanged=len(titles.keys() - changed),
            duplicate=len(rows) - len(titles),
        )


async def warehouse(folder: Folder) -> Titles:
    titles: Titles = {
        title: (count, [])
        for title, count in await folder.rows("SELECT title, pdl_count FROM warehouse.job_title")
    }
    for title, rank, term in await folder.rows(
        "SELECT title, rank, related_title FROM warehouse.related_title ORDER BY title, rank"
    ):
        titles[title][1].append(term)
        assert rank == len(titles[title][1])
    return titles


async def versions(folder: Folder) -> set[tuple[object, ...]]:
    """Where each row stands: equal as long as no row is rewritten."""
    return {
        *await folder.rows("SELECT title, 0, ctid::text, xmin::text FROM warehouse.job_title"),
        *await folder.rows(
            "SELECT title, rank, ctid::text, xmin::text FROM warehouse.related_title"
        ),
    }


async def test_a_title_brings_its_count_and_its_terms_in_order(folder: Folder) -> None:
    rows = [("Owner", "10", " CEO", "Founder ", "", "ceo"), ("Sales  Manager", "5")]
    load = await folder.load("titles.csv", titles_file(rows))
    assert load.counts == LoadCounts(read=2, inserted=2)
    assert await warehouse(folder) == {
        "owner": (10, ["ceo", "founder"]),
        "sales manager": (5, []),
    }


@pytest.mark.parametrize("header", [NAMED, UNNAMED])
async def test_twenty_related_columns_may_be_named_or_not(
    folder: Folder, header: list[str]
) -> None:
    terms = [f"term {n}" for n in range(1, 21)]
    await folder.load("titles.csv", titles_file([("a", "1", *terms)], header))
    assert await warehouse(folder) == {"a": (1, terms)}


async def test_two_columns_are_enough(folder: Folder) -> None:
    load = await folder.load("titles.csv", titles_file([("a", "1"), ("b", "2")], NAMED[:2]))
    assert load.counts == LoadCounts(read=2, inserted=2)
    assert await warehouse(folder) == {"a": (1, []), "b": (2, [])}


async def test_repeated_titles_keep_the_largest_count_and_all_terms(folder: Folder) -> None:
    rows = [
        ("Owner", "10", "b", "c"),
        (" OWNER", "30", "a", "b"),
        ("owner\u00a0", "20", "c", "d"),
        ("owner", "30", "e", "a"),
    ]
    load = await folder.load("titles.csv", titles_file(rows))
    assert load.counts == LoadCounts(read=4, inserted=1, duplicate=3)
    assert await warehouse(folder) == {"owner": (30, ["a", "b", "e", "c", "d"])}


async def test_only_titles_that_changed_are_rewritten(folder: Folder) -> None:
    rows = [
        ("a", "1", "x", "y", "z"),
        ("b", "2", "x"),
        ("c", "3", "x"),
        ("d", "4"),
        ("e", "5", "x"),
    ]
    first = await folder.load("titles.csv", titles_file(rows))
    before = await versions(folder)
    changed = [
        ("a", "1", "x", "w"),
        ("b", "2", "x"),
        ("c", "4", "x"),
        ("d", "4", "new"),
        ("e", "5"),
        ("f", "6"),
    ]
    load = await folder.load("titles.csv", titles_file(changed))
    assert load.counts == LoadCounts(read=6, inserted=1, updated=4, unchanged=1)
    assert await warehouse(folder) == titles_of(changed)
    kept = {row[:2] for row in before & await versions(folder)}
    assert kept == {("a", 1), ("b", 0), ("b", 1), ("c", 1)}
    loads = dict(await folder.rows("SELECT title, load_id FROM warehouse.job_title"))
    assert loads == dict.fromkeys("acdef", load.load_id) | {"b": first.load_id}


async def test_titles_of_other_files_stay(folder: Folder) -> None:
    await folder.load("titles.csv", titles_file([("a", "1", "x"), ("b", "2", "y")]))
    await folder.load("titles.csv", titles_file([("c", "3", "z")]))
    assert await warehouse(folder) == {"a": (1, ["x"]), "b": (2, ["y"]), "c": (3, ["z"])}


async def test_titles_in_all_scripts_stay_intact(folder: Folder) -> None:
    titles = [
        "エンジニア",
        "مدير المبيعات",
        "главный бухгалтер",
        "ingénieur",
        "👩‍🔬 chemist",
        "e\u0301",
    ]
    rows = [(title, "1", f"{title} 2") for title in titles]
    await folder.load("titles.csv", titles_file(rows))
    assert await warehouse(folder) == {title: (1, [f"{title} 2"]) for title in titles}


async def test_the_longest_title_that_is_accepted_fits_the_index(folder: Folder) -> None:
    # Letters in no order: a repetitive title would be compressed in the index.
    letters = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(866))
    rows = [(letters, "1", letters), (letters[:-1] + "xyz", "2")]
    load = await folder.load("titles.csv", titles_file(rows))
    assert load.counts == LoadCounts(read=2, inserted=2)
    assert await warehouse(folder) == titles_of(rows)


async def test_quotes_newlines_and_commas_inside_terms_are_kept(folder: Folder) -> None:
    rows = [('vp, "sales"', "1", "a\nb", 'the "boss"', "x,y")]
    await folder.load("titles.csv", titles_file(rows))
    assert await warehouse(folder) == {'vp, "sales"': (1, ["a b", 'the "boss"', "x,y"])}


async def test_bad_rows_are_rejected_and_the_others_load(folder: Folder) -> None:
    rows = [(f"title {n}", "1") for n in range(40)]
    rows[10:10] = [("", "5"), ("x", "-1"), ("y", "many")]
    load = await folder.load("titles.csv", titles_file(rows, NAMED[:3]))
    assert load.counts == LoadCounts(read=43, inserted=40, rejected=3)
    assert await folder.rejects(load) == [
        (12, "title", ",5,"),
        (13, "pdl_count", "x,-1,"),
        (14, "pdl_count", "y,many,"),
    ]


words = st.sampled_from(["", "a", "A ", "b", "c\u00a0c", "C  c", "é"])
file_rows = st.lists(
    st.tuples(
        st.sampled_from(["a", "B", "b ", "ß"]), st.integers(0, 3).map(str), words, words, words
    ),
    max_size=6,
)


@hypothesis_settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(dropped=st.lists(file_rows, min_size=1, max_size=4))
async def test_any_sequence_of_files_gives_what_the_rules_say(
    folder: Folder, dropped: list[list[tuple[str, ...]]]
) -> None:
    await folder.sql.execute(
        "TRUNCATE warehouse.job_title, warehouse.related_title, ops.load, ops.reject"
    )
    oracle = Oracle()
    latest = ""
    for rows in dropped:
        text = titles_file(rows)
        load = await folder.load("titles.csv", text)
        if text == latest:
            assert load.status is LoadStatus.DUPLICATE
            continue
        latest = text
        assert load.counts == oracle.merge(rows)
        assert await warehouse(folder) == oracle.kept


async def test_the_real_file_gives_its_distinct_titles_and_terms(folder: Folder) -> None:
    path = SHARED_FILES / "2019_free_title_data_head.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the project")
    with path.open(encoding="utf-8-sig", newline="") as text:
        _, *rows = csv.reader(text)
    oracle = Oracle()
    load = await folder.load(path.name, path.read_bytes())
    assert load.counts == oracle.merge(rows)
    assert load.counts.read == 300
    assert await warehouse(folder) == oracle.kept
