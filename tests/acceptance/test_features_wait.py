"""Who activates a version, or goes back to one, is told what that has to wait for."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from app.store import lane_locks
from tests.acceptance.command_line import SECONDS
from tests.acceptance.feature_commands import done, shell_in

AT_WORK = """
    INSERT INTO ops.load (pipeline, file_name, file_bytes, sha256, discovered_at, started_at,
        status, rows_read, rows_inserted, rows_updated, rows_unchanged, rows_deleted, rows_rejected,
        rows_duplicate, worker, attempt)
    SELECT pipeline, name, 1, '', now(), '2026-01-31 13:55:52+00', 'running', 0, 0, 0, 0, 0, 0, 0,
        'a:1', 1
    FROM (VALUES ('risk_scores', 'rejected_2018.csv'), ('loans', 'loans.csv'))
        AS at_work (pipeline, name)
    RETURNING load_id
"""


@pytest.mark.parametrize(
    ("words", "by_a_load"), [(("activate", "1"), True), (("rollback",), False)]
)
async def test_it_says_in_one_line_what_it_waits_for(
    words: tuple[str, ...],
    by_a_load: bool,
    tmp_path: Path,
    database: str,
    sql: asyncpg.Connection,
) -> None:
    shell = shell_in(tmp_path, database)
    done(shell.run("features", "activate", "2"))
    what = "a batch of a stream, or a chunk of a backfill,"
    if by_a_load:
        [load_id, _] = [row["load_id"] for row in await sql.fetch(AT_WORK)]
        what = f"load {load_id} of rejected_2018.csv, at work since 13:55:52 UTC,"
    await sql.execute("SELECT pg_advisory_lock($1)", lane_locks.lock_key("risk_scores/"))

    with shell.start("features", *words) as command:
        assert command.stderr
        said = command.stderr.readline()
        await sql.execute("SELECT pg_advisory_unlock_all()")
        out, err = command.communicate(timeout=SECONDS)

    assert said == f"Waiting for {what} to end.\n"
    assert (command.returncode, err) == (0, "")
    assert "active" in out
