"""What keeps a pull from its work is said in a line, and nothing has changed."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url

from tests.acceptance.front_door import Front, environment, until
from tests.acceptance.production import TABLE, Production, month_file, month_rows

KILLS = 6


@pytest.fixture
def source_url(make_database: Callable[..., str]) -> str:
    """Address of a database of its own for the source."""
    return make_database()


@pytest.fixture
async def production(source_url: str, front: Front) -> AsyncIterator[Production]:
    """A source with two months of rows."""
    sql = await asyncpg.connect(source_url)
    await sql.execute(TABLE)
    source = Production(source_url, sql, front)
    for month in ("2023-01", "2023-02"):
        await source.insert(month_rows(month, 100))
    yield source
    await sql.close()


Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start_pull(production: Production) -> AsyncIterator[Start]:
    """Starts pulls; none of them outlives the test."""
    started: list[Process] = []

    async def start(*words: str) -> Process:
        pull = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "pull", *words),
            cwd=production.settings.imports_dir.parent,
            env=environment(production.settings, SOURCE_DATABASE_URL=production.url),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
        )
        started.append(pull)
        return pull

    yield start
    for pull in started:
        if pull.returncode is None:
            pull.kill()
        await pull.communicate()


def written_parts(folder: Path) -> list[Path]:
    return list(folder.glob(".pull_*.part"))


async def assert_nothing_changed(front: Front) -> None:
    assert front.waiting == {}
    assert await front.ledger() == []


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("postgresql://me:hush@127.0.0.1:1/lake", 3, "The source database cannot be reached: "),
        ("{missing}", 2, "The source database refuses: database"),
        ("", 2, "Set SOURCE_DATABASE_URL to the address of the production database"),
        ("mysql://me:hush@127.0.0.1/lake", 2, "SOURCE_DATABASE_URL: expected an address like"),
        ("postgresql://me:hush@127.0.0.1/lake?color=red", 2, "SOURCE_DATABASE_URL: the address"),
    ],
)
async def test_an_address_that_does_not_work_is_told_without_its_secrets(
    address: str, code: int, said: str, production: Production, front: Front, server_url: str
) -> None:
    missing = make_url(server_url).set(database="no_such_database")
    url = address.replace("{missing}", missing.render_as_string(hide_password=False))

    ended, printed = await production.pull("--wait", SOURCE_DATABASE_URL=url)

    assert (ended, said in printed) == (code, True), printed
    assert "hush" not in printed
    assert "Traceback" not in printed
    await assert_nothing_changed(front)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DROP TABLE entity", "has no table entity in its search path"),
        ("ALTER TABLE entity RENAME value TO amount", "value: missing, expected smallint or"),
        (
            "ALTER TABLE entity ALTER created_at TYPE timestamptz",
            "created_at: timestamp with time zone, expected timestamp without time zone",
        ),
        (
            "ALTER TABLE entity ALTER entity_id DROP DEFAULT, ALTER entity_id TYPE text",
            "entity_id: text, expected smallint or integer or bigint",
        ),
    ],
)
@pytest.mark.parametrize("words", [(), ("--dry-run",)])
async def test_a_table_that_cannot_be_pulled_from_is_2(
    words: tuple[str, ...], change: str, said: str, production: Production, front: Front
) -> None:
    await production.sql.execute(change)

    code, printed = await production.pull(*words)

    assert (code, said in printed, len(printed.splitlines())) == (2, True, 1), printed
    await assert_nothing_changed(front)


@pytest.mark.parametrize(
    "words",
    [("--month", "2023-13"), ("--since", "May"), ("--month", "2023-01", "--since", "2023-01")],
)
async def test_wrong_usage_is_2(
    words: tuple[str, ...], production: Production, front: Front
) -> None:
    code, _ = await production.pull(*words)

    assert code == 2
    await assert_nothing_changed(front)


async def test_a_source_that_does_not_answer_in_time_is_1(
    production: Production, front: Front
) -> None:
    async with production.sql.transaction():
        await production.sql.execute("LOCK TABLE entity")
        code, printed = await production.pull(SOURCE_TIMEOUT_SECONDS="0.3")

    assert code == 1
    assert "The source database did not answer in 0.3 seconds" in printed
    assert len(printed.splitlines()) == 1
    await assert_nothing_changed(front)


async def test_a_source_that_is_ended_meanwhile_is_3(
    production: Production, front: Front, start_pull: Start
) -> None:
    async with production.sql.transaction():
        await production.sql.execute("LOCK TABLE entity")
        pull = await start_pull()
        [pid] = await until(lambda: waiting_sessions(production), "the pull waits for the table")
        await front.sql.execute("SELECT pg_terminate_backend($1)", pid)
        printed, _ = await pull.communicate()

    assert pull.returncode == 3
    assert printed.decode().startswith("Error: The source database cannot be reached: ")
    await assert_nothing_changed(front)


async def waiting_sessions(production: Production) -> list[int]:
    """Sessions of the source that wait for a lock, seen from outside its transactions."""
    name = await production.sql.fetchval("SELECT current_database()")
    found = await production.front.sql.fetch(
        "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'", name
    )
    return [row["pid"] for row in found]


async def test_a_source_that_cannot_answer_is_1(production: Production, front: Front) -> None:
    await production.sql.execute("ALTER TABLE entity RENAME TO kept")
    await production.sql.execute(
        "CREATE VIEW entity AS SELECT entity_id, created_at, 1 / (value - value) AS value FROM kept"
    )

    code, printed = await production.pull()

    assert (code, printed) == (1, "Error: The source database cannot answer: division by zero\n")
    await assert_nothing_changed(front)


async def test_a_folder_that_cannot_be_written_to_is_2(
    production: Production, front: Front
) -> None:
    front.settings.imports_dir.rmdir()
    front.settings.imports_dir.write_text("a file, where a folder has to be")

    code, printed = await production.pull()

    assert code == 2
    assert f"The imports folder {front.settings.imports_dir} cannot be used" in printed
    assert await front.ledger() == []


async def close_gate(production: Production) -> None:
    """Lets the extraction of February wait for an advisory lock that the test holds."""
    await production.sql.execute(
        """
        ALTER TABLE entity RENAME TO kept;
        CREATE FUNCTION gate(id bigint, at timestamp) RETURNS bigint LANGUAGE plpgsql AS $$
        BEGIN
            IF current_query() LIKE 'COPY%' AND at >= '2023-02-01' THEN
                PERFORM pg_advisory_lock_shared(7);
            END IF;
            RETURN id;
        END $$;
        CREATE VIEW entity AS
            SELECT gate(entity_id, created_at) AS entity_id, created_at, value FROM kept;
        SELECT pg_advisory_lock(7);
        """
    )


async def is_at_the_gate(production: Production) -> bool:
    return bool(
        await production.sql.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        )
    )


async def open_gate(production: Production) -> None:
    await production.sql.execute("SELECT pg_advisory_unlock(7)")


async def test_a_pull_killed_in_an_extraction_leaves_whole_files_and_a_hidden_one(
    production: Production, front: Front, start_pull: Start
) -> None:
    folder = front.settings.imports_dir
    january = month_file(await production.rows("created_at < '2023-02-01'"))
    await close_gate(production)
    pull = await start_pull()
    await until(lambda: is_at_the_gate(production), "the extraction of February has begun")

    pull.send_signal(signal.SIGKILL)
    await pull.wait()

    assert front.waiting == {"entity_2023_01.csv": january}
    assert [path.name for path in written_parts(folder)] == [".pull_2023_02.part"]
    await open_gate(production)
    await production.sql.execute("DELETE FROM kept WHERE created_at >= '2023-02-01'")
    assert "the same rows wait already" in await production.pulled("--wait")
    assert written_parts(folder) == []
    assert await front.entity() == await production.rows()


async def test_a_pull_told_to_stop_takes_its_hidden_file_away(
    production: Production, front: Front, start_pull: Start
) -> None:
    await close_gate(production)
    pull = await start_pull()
    await until(lambda: is_at_the_gate(production), "the extraction of February has begun")

    pull.send_signal(signal.SIGTERM)
    await open_gate(production)
    await pull.wait()

    assert pull.returncode == 128 + signal.SIGTERM
    assert list(front.waiting) == ["entity_2023_01.csv"]
    assert written_parts(front.settings.imports_dir) == []


async def test_a_pull_sees_the_source_as_it_was_at_one_instant(
    production: Production, front: Front, start_pull: Start
) -> None:
    before = await production.rows()
    await close_gate(production)
    pull = await start_pull("--wait")
    await until(lambda: is_at_the_gate(production), "the extraction of February has begun")
    await production.sql.execute("UPDATE kept SET value = value + 1")
    await open_gate(production)

    assert await pull.wait() == 0
    assert await front.entity() == before
    await production.pulled("--wait")
    assert await front.entity() == {key: value + 1 for key, value in before.items()}


async def test_what_is_loaded_during_an_extraction_is_not_written_again(
    production: Production, front: Front, start_pull: Start
) -> None:
    await production.pulled()
    await close_gate(production)
    pull = await start_pull()
    await until(lambda: is_at_the_gate(production), "the extraction of February has begun")
    assert (await front.command("load", "imports/entity_2023_02.csv"))[0] == 0
    await open_gate(production)
    printed, _ = await pull.communicate()

    assert pull.returncode == 0
    assert "2023-02: 100 rows in the source, 0 before: load 1 brought" in printed.decode()
    assert list(front.waiting) == ["entity_2023_01.csv"]


async def test_kills_at_any_moment_leave_whole_files_only(
    production: Production, front: Front, start_pull: Start
) -> None:
    await production.sql.execute(
        "INSERT INTO entity (created_at, value)"
        " SELECT timestamp '2023-01-01' + n * interval '25 s', n"
        " FROM generate_series(1, 200000) AS n"
    )
    draw = random.Random(20230509)
    months = {
        f"entity_2023_{month:02d}.csv": month_file(
            await production.rows(f"extract(month FROM created_at) = {month}")
        )
        for month in (1, 2)
    }
    for _ in range(KILLS):
        pull = await start_pull("--wait")
        try:
            async with asyncio.timeout(draw.uniform(0.8, 2.0)):
                await pull.wait()
        except TimeoutError:
            pull.send_signal(signal.SIGKILL)
            await pull.wait()
        for name, content in front.waiting.items():
            assert content == months[name]

    await production.pulled("--wait")

    assert await front.entity() == await production.rows()
    assert {status for _, status in await production.loads()} <= {"loaded", "duplicate"}
    assert front.waiting == {}
    assert written_parts(front.settings.imports_dir) == []
