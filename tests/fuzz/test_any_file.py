"""Any file at all: read and accounted for to the last line, or refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.accounts import BLOCK_BYTES, bring_in
from tests.fuzz.hostile_files import ENDINGS, FEEDS, compressed, hostile_files

REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*__*"))
# Parquet has no blocks.
TRIALS = [
    (path, block_bytes)
    for path in REGRESSIONS
    for block_bytes in (BLOCK_BYTES[-1:] if path.suffix == ".parquet" else BLOCK_BYTES)
]
TEXT_ENDINGS = tuple(ending for ending in ENDINGS if ending != ".parquet")


@pytest.mark.parametrize(("path", "block_bytes"), TRIALS)
def test_what_broke_something_once_is_accounted_for_now(path: Path, block_bytes: int) -> None:
    """Each file's own name follows the two underscores."""
    bring_in(path.read_bytes(), path.name.partition("__")[2], block_bytes)


@settings(deadline=None, max_examples=80)
@given(drawn=hostile_files(TEXT_ENDINGS), block_bytes=st.sampled_from(BLOCK_BYTES))
def test_any_text_is_accounted_for_or_refused(drawn: tuple[bytes, str], block_bytes: int) -> None:
    bring_in(*drawn, block_bytes)


@settings(deadline=None, max_examples=5)
@given(drawn=hostile_files((".parquet",)))
def test_any_parquet_is_accounted_for_or_refused(drawn: tuple[bytes, str]) -> None:
    bring_in(*drawn)


@pytest.mark.parametrize("ending", TEXT_ENDINGS)
def test_a_sound_file_of_each_feed_is_not_refused(ending: str) -> None:
    """Otherwise the tests above could pass by refusing everything."""
    for stem, header, row in FEEDS:
        names, values = header.split(","), row.split(",")
        text = f"{header}\n{row}\n"
        if ending == ".jsonl":
            pairs = [f'"{name}":"{value}"' for name, value in zip(names, values, strict=True)]
            text = "{" + ",".join(pairs) + "}\n"
        assert bring_in(compressed(text.encode(), ending), stem + ending) is None
