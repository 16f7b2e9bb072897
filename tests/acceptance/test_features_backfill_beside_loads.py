"""`features backfill` goes on while files are loaded; every value is right in the end."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from datetime import timedelta

from app.features.backfill import CHUNK_ROWS
from tests.acceptance.conftest import Watch
from tests.acceptance.front_door import LIMIT_SECONDS, Front, environment, until
from tests.applications import FIRST_DAY, applications_csv, rescored, some_applications
from tests.integration.feature_values import require_all

CHUNKS = 8
MANY = some_applications(CHUNKS * CHUNK_ROWS)
AFTER = FIRST_DAY + timedelta(days=10)


async def start(front: Front, version: int) -> Process:
    """Starts a backfill."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "features", "backfill", str(version)),
        cwd=front.settings.imports_dir.parent,
        env=environment(front.settings),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )


async def end(running: Process) -> str:
    """Waits for its end, which has to be a good one; gives what it printed."""
    async with asyncio.timeout(2 * LIMIT_SECONDS):
        printed, _ = await running.communicate()
    assert running.returncode == 0, printed.decode()
    return printed.decode()


async def rows_with_values(front: Front, version: int) -> int:
    count: int = await front.sql.fetchval(
        "SELECT count(*) FROM warehouse.risk_score_feature WHERE version = $1", version
    )
    return count


async def test_files_load_while_a_backfill_goes_on_and_both_end_right(
    front: Front, watch: Watch
) -> None:
    some = [some_applications(170, seed, first=10**6 * seed, day=AFTER) for seed in (1, 2, 3)]
    daemon = await watch()
    front.drop("rejected_many.csv", applications_csv(MANY))
    await front.filed(1)
    await front.command("features", "activate", "2")

    running = await start(front, 2)
    await until(lambda: rows_with_values(front, 2), "the first chunk")
    for number, rows in enumerate(some, 1):
        front.drop(f"rejected_{number}.csv", applications_csv(rows))
        loads = await front.filed(number + 1)
    await end(running)
    await daemon.stop()

    last_chunk = await front.sql.fetchval(
        "SELECT _modified_ts FROM warehouse.risk_score_v2 WHERE application_date < $1"
        " ORDER BY application_id DESC LIMIT 1",
        AFTER,
    )
    assert loads[1]["finished_at"] < last_chunk
    assert [load["status"] for load in loads] == ["loaded"] * 4
    await require_all(front.sql, [MANY, *some], versions=(2,))


async def test_a_correction_while_a_backfill_goes_on_is_in_every_value(
    front: Front, watch: Watch
) -> None:
    few = some_applications(170, seed=1, first=10**6)
    corrected = [*rescored(few, *range(0, 170, 3)), *some_applications(9, 2, first=10**6 + 500)]
    daemon = await watch()
    front.drop("rejected_few.csv", applications_csv(few))
    await front.filed(1)
    front.drop("rejected_many.csv", applications_csv(MANY))
    await front.filed(2)

    running = [await start(front, version) for version in (1, 2, 2)]
    await until(lambda: rows_with_values(front, 1), "a chunk of version 1")
    await until(lambda: rows_with_values(front, 2), "a chunk of version 2")
    front.drop("rejected_few.csv", applications_csv(corrected))
    await front.filed(3)
    for each in running:
        await end(each)
    await daemon.stop()

    await require_all(front.sql, [corrected, MANY])
