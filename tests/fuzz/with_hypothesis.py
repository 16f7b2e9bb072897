"""Draws hostile files for some minutes; ends with 1 as soon as one breaks the property."""

from __future__ import annotations

import sys
import time

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.accounts import BLOCK_BYTES
from tests.fuzz.findings import try_file
from tests.fuzz.hostile_files import ENDINGS, hostile_files

ROUND = 500
# Parquet takes two processes for each file.
MOSTLY_TEXT = (*(ENDINGS[:-1] * 20), ENDINGS[-1])


def draw_files(round_number: int) -> None:
    """One round; with the same number it draws the same files."""

    @seed(round_number)
    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn=hostile_files(MOSTLY_TEXT), block_bytes=st.sampled_from(BLOCK_BYTES))
    def try_one(drawn: tuple[bytes, str], block_bytes: int) -> None:
        try_file(*drawn, block_bytes)

    try_one()


def main(minutes: float) -> int:
    until = time.monotonic() + 60 * minutes
    rounds = broken = 0
    while time.monotonic() < until:
        rounds += 1
        try:
            draw_files(rounds)
        except Exception as error:
            broken += 1
            sys.stdout.write(f"round {rounds}: {type(error).__name__}: {str(error)[:300]}\n")
    sys.stdout.write(f"Hypothesis: {rounds * ROUND} files, {broken} of {rounds} rounds broken\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
