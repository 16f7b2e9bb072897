"""Names of files as people read them: each name looks different from any other."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from app.files import printable_name

NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: not {0, ord("/")} & set(name))


@given(NAMES, NAMES)
def test_no_two_names_look_alike_and_every_name_prints(one: bytes, other: bytes) -> None:
    shown = [printable_name(os.fsdecode(name)) for name in (one, other)]

    assert (shown[0] == shown[1]) is (one == other)
    assert all(each.isprintable() for each in shown)


def test_a_backslash_and_a_byte_shown_with_one_are_told_apart() -> None:
    assert printable_name(os.fsdecode(b"a\\xff.csv")) == r"a\\xff.csv"
    assert printable_name(os.fsdecode(b"a\xff.csv")) == r"a\xff.csv"
    assert printable_name("Monats\u00fcbersicht.csv") == "Monats\u00fcbersicht.csv"
