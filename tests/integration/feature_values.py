"""What each version of the features shows, read from its view as an analyst would."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import asyncpg

from tests.applications import Application, Values, expected

VERSIONS = (0, 1, 2)
WITHOUT_MA100 = (0,)


async def shown(sql: asyncpg.Connection, version: int) -> list[Values]:
    """The numbers and values of the rows that the version has, in their order."""
    ma100 = "NULL" if version in WITHOUT_MA100 else "ma100::text"
    rows = await sql.fetch(
        f"SELECT amount_requested::int, ma50::text, {ma100}"
        f" FROM warehouse.risk_score_v{version} ORDER BY application_id"
    )
    return [(number, ma50, ma100) for number, ma50, ma100 in rows]


async def require_all(
    sql: asyncpg.Connection,
    files: Sequence[Iterable[Application]],
    versions: Iterable[int] = VERSIONS,
) -> None:
    """Every row of the files has the values of these versions, to the last digit shown."""
    for version in versions:
        assert await shown(sql, version) == expected(version, files), f"version {version}"
