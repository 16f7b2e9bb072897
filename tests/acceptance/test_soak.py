"""A short soak: seconds of what `make soak` does for minutes, with each kind of restart."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT

from tests.acceptance.front_door import PROJECT

LIMIT_SECONDS = 170.0
DISTURBED = (
    "service killed",
    "service stopped",
    "database fast",
    "database immediate",
    "analyst locks",
    "analyst reads",
)


async def test_seconds_of_everything_at_once_leave_what_the_oracle_says() -> None:
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.soak"),
        cwd=PROJECT,
        env={**os.environ, "MINUTES": "0.2", "SEED": "20230509"},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    async with asyncio.timeout(LIMIT_SECONDS):
        printed, _ = await running.communicate()
    said = printed.decode()
    assert running.returncode == 0, said
    assert [each for each in DISTURBED if f"{each} " not in said] == [], said
    assert "BROKEN" not in said
