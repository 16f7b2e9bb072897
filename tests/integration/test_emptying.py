"""One statement merges the staged rows and empties the staging table, however it begins."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store import direct
from app.store.engine import driver_connection
from app.store.scripts import EMPTY, Scripts
from app.store.warehouse import merge_query

STAGED = "CREATE TEMPORARY TABLE staged AS SELECT n FROM generate_series(1, 3) AS n"
SUM = "SELECT sum(n) AS total FROM staged"
COMMENTS = "-- With a comment.\n-- WITH another one.\n\n"


class OneScript(Scripts):
    """Gives the same script whatever its name."""

    def __init__(self, sql: str) -> None:
        super().__init__({})
        self._sql = sql

    def text(self, name: str, names: Mapping[str, str] = EMPTY, **literals: str) -> str:
        return self._sql


@pytest.mark.parametrize("comments", ["", COMMENTS])
@pytest.mark.parametrize(
    "statement",
    [
        SUM,
        f"WITH sums AS ({SUM}) SELECT total FROM sums",
        f"with sums AS ({SUM}) SELECT total FROM sums",
        f"WITH\n    sums AS ({SUM}),\n    again AS (SELECT * FROM sums) SELECT total FROM again",
        f"WITH RECURSIVE sums AS ({SUM}), again AS (SELECT total FROM sums UNION SELECT total"
        " FROM again) SELECT total FROM again",
        "INSERT INTO merged SELECT sum(n) FROM staged RETURNING total",
    ],
)
async def test_rows_are_merged_and_gone_after_one_statement(
    comments: str, statement: str, engine: AsyncEngine
) -> None:
    merge = merge_query(OneScript(comments + statement), "any", "DELETE FROM staged")
    async with direct.connect(engine) as connection, direct.transaction(connection):
        driver = driver_connection(connection)
        await driver.execute(f"{STAGED}; CREATE TEMPORARY TABLE merged (total bigint)")

        [counts] = await merge.rows(connection)

        assert counts["total"] == 6
        assert await driver.fetchval("SELECT count(*) FROM staged") == 0
        await driver.execute("DROP TABLE staged, merged")
