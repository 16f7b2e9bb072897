"""Months that differ come from a production database through the imports folder, and only those."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from app.store import embedded
from tests.acceptance import command_line
from tests.acceptance.conftest import Watch
from tests.acceptance.front_door import Front, counts_of
from tests.acceptance.production import TABLE, Production, month_file, month_rows
from tests.integration.exports_tree import tree

NOTHING = "Nothing to pull: the months with rows ({}) are equal on both sides.\n"
MONTHS = ("2022-12", "2023-01", "2023-02")


@pytest.fixture
def source_url(make_database: Callable[..., str]) -> str:
    """Address of a database of its own for the source."""
    return make_database()


@pytest.fixture
async def production(source_url: str, front: Front) -> AsyncIterator[Production]:
    """A source with three months of rows."""
    sql = await asyncpg.connect(source_url)
    await sql.execute(TABLE)
    source = Production(source_url, sql, front)
    for month in MONTHS:
        await source.insert(month_rows(month, 300))
    yield source
    await sql.close()


async def newest_load(front: Front) -> int:
    return max((load["load_id"] for load in await front.ledger()), default=0)


async def test_a_pull_brings_every_month_and_the_next_one_nothing(
    production: Production, front: Front, watch: Watch
) -> None:
    daemon = await watch()
    await production.insert([(month_rows("2023-02", 1)[0][0], n) for n in (-(2**31), 2**31 - 1)])

    printed = await production.pulled("--wait")
    again = await production.pulled("--wait")
    await daemon.stop()

    assert await front.entity() == await production.rows()
    assert sorted(await production.loads()) == [
        ("entity_2022_12.csv", "loaded"),
        ("entity_2023_01.csv", "loaded"),
        ("entity_2023_02.csv", "loaded"),
    ]
    assert "2023-02: 302 rows in the source, 0 before: written as " in printed
    assert printed.count(" rows read, ") == 3
    assert again == NOTHING.format(3)
    assert sorted(front.archived.values()) == sorted(
        [
            month_file(await production.rows(f"to_char(created_at, 'YYYY-MM') = '{m}'"))
            for m in MONTHS
        ]
    )
    assert front.waiting == {}


async def test_an_emptied_month_becomes_empty_and_its_exports_vanish(
    production: Production, front: Front
) -> None:
    exports = production.settings.exports_dir

    async def bring_exports() -> dict[str, bytes]:
        await production.pulled("--wait")
        for command in ("refresh", "export"):
            assert (await front.command(command))[0] == 0
        return tree(exports)

    full = await bring_exports()
    await production.sql.execute("DELETE FROM entity WHERE created_at >= '2023-02-01'")
    less = await bring_exports()
    await production.sql.execute("DELETE FROM entity")
    none = await bring_exports()

    of_february = {path for path in full if path.startswith("year=2023/month=2/")}
    assert len(of_february) > 20
    assert full.keys() - less.keys() == of_february
    assert {path for path in less if less[path] != full[path]} == {
        "year=2023/entity_stats_yearly_2023.csv"
    }
    assert none == {}
    assert await front.entity() == {}
    assert await production.pulled("--wait") == NOTHING.format(0)


async def test_a_dry_run_shows_what_differs_and_moves_nothing(
    production: Production, front: Front
) -> None:
    await production.pulled("--wait")
    last = await newest_load(front)
    await production.sql.execute("DELETE FROM entity WHERE created_at < '2023-01-01'")
    await production.sql.execute("INSERT INTO entity (created_at, value) VALUES ('2023-05-05', 1)")
    await production.sql.execute("UPDATE entity SET value = value + 1 WHERE entity_id = 700")

    printed = await production.pulled("--dry-run")

    rows = [line.split() for line in printed.splitlines() if line.startswith("20")]
    assert rows == [
        ["2022-12", "0", "300", "-300"],
        ["2023-02", "300", "300", "+0"],
        ["2023-05", "1", "0", "+1"],
    ]
    assert front.waiting == {}
    assert await newest_load(front) == last
    assert (await production.pulled("--dry-run", "--month", "2023-01")) == NOTHING.format(1)


async def test_what_waits_is_not_written_twice_and_what_changed_is_loaded_last(
    production: Production, front: Front
) -> None:
    await production.pulled()
    files = {path.name: path.stat().st_ino for path in front.settings.imports_dir.glob("*.csv")}

    again = await production.pulled()
    assert again.count("the same rows wait already in") == 3
    await production.sql.execute("UPDATE entity SET value = value + 1 WHERE entity_id = 400")
    changed = await production.pulled()
    assert changed.count("the same rows wait already in") == 2
    assert "written as" in changed
    now = {path.name: path.stat().st_ino for path in front.settings.imports_dir.glob("*.csv")}
    assert now.keys() - files.keys() == {"entity_2023_01_v2.csv"}
    assert {name: now[name] for name in files} == files

    await production.pulled("--wait")

    assert await production.loads() == [
        ("entity_2022_12.csv", "loaded"),
        ("entity_2023_01.csv", "loaded"),
        ("entity_2023_01_v2.csv", "loaded"),
        ("entity_2023_02.csv", "loaded"),
    ]
    assert await front.entity() == await production.rows()
    assert front.waiting == {}


async def test_only_the_months_that_were_named_are_pulled(
    production: Production, front: Front
) -> None:
    one = await production.pulled("--month", "2022-12")
    from_there_on = await production.pulled("--since", "2023-02")

    assert ("2022-12: " in one, "2023-01: " in one, "2023-02: " in one) == (True, False, False)
    assert "2023-02: 300 rows in the source" in from_there_on
    assert sorted(front.waiting) == ["entity_2022_12.csv", "entity_2023_02.csv"]


async def test_a_service_takes_what_a_pull_left(
    production: Production, front: Front, watch: Watch
) -> None:
    await production.pulled()
    await watch()

    assert {status for _, status in await front.outcomes(3)} == {"loaded"}
    assert await front.entity() == await production.rows()


async def test_pulls_at_the_same_time_load_each_month_once(
    production: Production, front: Front, watch: Watch
) -> None:
    daemon = await watch()

    printed = await asyncio.gather(*(production.pulled("--wait") for _ in range(3)))
    await daemon.stop()

    loaded = [name for name, status in await production.loads() if status == "loaded"]
    assert sorted(loaded) == ["entity_2022_12.csv", "entity_2023_01.csv", "entity_2023_02.csv"]
    assert await front.entity() == await production.rows()
    assert sum(text.count("written as") for text in printed) >= 3


async def test_a_month_changed_by_hand_in_the_warehouse_is_brought_back(
    production: Production, front: Front
) -> None:
    await production.pulled("--wait")
    for change in (
        "UPDATE warehouse.entity SET value = value + 1 WHERE entity_id = 400",
        "DELETE FROM warehouse.entity WHERE entity_id = 401",
    ):
        await front.sql.execute(change)
        assert await front.entity() != await production.rows()

        await production.pulled("--wait")

        assert await front.entity() == await production.rows()
    assert await production.pulled() == NOTHING.format(3)


async def test_rows_that_no_file_can_hold_stay_behind_and_are_counted(
    production: Production, front: Front
) -> None:
    sound = await production.rows()
    await production.sql.execute(
        "ALTER TABLE entity ALTER created_at DROP NOT NULL, ALTER value DROP NOT NULL"
    )
    await production.sql.execute(
        """
        INSERT INTO entity (created_at, value) VALUES
            (NULL, 1), ('infinity', 2), ('-infinity', 3), ('0999-12-31', 4), ('3000-01-01', 5),
            ('2023-01-15', NULL), ('0044-03-15 BC', 6)
        """
    )

    code, printed = await production.pull("--wait")
    again, said = await production.pull("--wait")
    named, of_december = await production.pull("--month", "2022-12")

    assert (code, again, named) == (1, 1, 0)
    assert "Found 7 rows of the source's public.entity that no month file can hold" in printed
    assert NOTHING.format(3) in said
    assert "Found 7 rows" in said
    assert of_december == NOTHING.format(1)
    assert await front.entity() == sound


async def test_rows_that_repeat_a_key_are_named_and_not_sent_for_ever(
    production: Production, front: Front
) -> None:
    await production.sql.execute("ALTER TABLE entity DROP CONSTRAINT entity_pkey")
    await production.sql.execute("INSERT INTO entity SELECT * FROM entity WHERE entity_id < 303")

    await production.pulled("--wait")
    code, printed = await production.pull("--wait")

    assert code == 1
    assert "rows of 2022-12 that repeat the created_at and entity_id of another one" in printed
    assert "(load 1 left them out)" in printed
    assert await production.loads() == [
        ("entity_2022_12.csv", "loaded"),
        ("entity_2023_01.csv", "loaded"),
        ("entity_2023_02.csv", "loaded"),
    ]
    assert counts_of((await front.ledger())[0]) == {
        "read": 600,
        "inserted": 300,
        "duplicate": 300,
    }
    assert front.waiting == {}


async def test_another_file_of_the_name_is_not_overwritten(
    production: Production, front: Front
) -> None:
    theirs = front.drop("entity_2023_01.csv", b"something else")

    printed = await production.pulled("--month", "2023-01")

    assert theirs.read_bytes() == b"something else"
    assert "entity_2023_01_v2.csv" in printed
    assert front.waiting["entity_2023_01_v2.csv"] == month_file(
        await production.rows("created_at BETWEEN '2023-01-01' AND '2023-02-01'")
    )


async def test_a_pull_whose_file_cannot_be_loaded_is_1(
    production: Production, front: Front
) -> None:
    front.settings.archive_folder.write_text("a file, where a folder has to be")

    code, printed = await production.pull("--wait", "--month", "2023-01")

    assert code == 1
    assert "entity_2023_01.csv cannot be moved" in printed


async def test_pull_works_in_schemas_of_other_names(
    production: Production, front: Front, empty_database: str
) -> None:
    names = {"STAGING_SCHEMA": "porch", "DW_SCHEMA": "lake", "INIT_DB": "true"}

    await production.pulled("--wait", DATABASE_URL=empty_database, **names)
    again = await production.pulled(DATABASE_URL=empty_database, **names)

    assert again == NOTHING.format(3)
    lake = await asyncpg.connect(empty_database)
    assert await lake.fetchval("SELECT count(*) FROM lake.entity") == 900
    await lake.close()


async def test_a_role_that_may_only_read_is_enough(production: Production, front: Front) -> None:
    name = await production.sql.fetchval("SELECT current_database()")
    role = f"reader_of_{name}"
    await production.sql.execute(f"CREATE ROLE {role}")
    await production.sql.execute(f"GRANT SELECT ON entity TO {role}")
    # Every session of this database takes the role, as if the address named it.
    await production.sql.execute(f'ALTER DATABASE "{name}" SET role = {role}')

    await production.pulled("--wait")

    assert await front.entity() == await production.rows()
    await production.sql.execute(f"DROP OWNED BY {role}")
    await production.sql.execute(f'ALTER DATABASE "{name}" RESET role')
    await production.sql.execute(f"DROP ROLE {role}")


async def test_without_any_address_the_source_lies_beside_the_embedded_database(
    tmp_path: Path,
) -> None:
    shell = command_line.at(tmp_path)
    with embedded.start(tmp_path / ".data" / "postgres") as server:
        empty = await asyncio.to_thread(shell.run, "pull", "--wait")
        source = await asyncpg.connect(server.url, database="production_data")
        await source.execute("INSERT INTO entity (created_at, value) VALUES ('2023-01-05', 12)")
        await source.close()
        pulled = await asyncio.to_thread(shell.run, "pull", "--wait")
        flow = await asyncpg.connect(server.url)
        rows = await flow.fetch("SELECT created_at::text, entity_id, value FROM warehouse.entity")
        await flow.close()

    assert (empty.code, empty.out) == (0, NOTHING.format(0))
    assert (pulled.code, pulled.err) == (0, "")
    assert [tuple(row) for row in rows] == [("2023-01-05 00:00:00", 1, 12)]
