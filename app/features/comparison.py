"""How far the values of two versions lie apart; all of it is computed in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import asyncpg

from app.errors import RetryableError
from app.features.definitions import Definition
from app.store.scripts import Scripts

SHOWN_DIFFERENCES = 10


@dataclass(frozen=True, slots=True)
class FeatureDifference:
    """One feature of two versions, over the rows that have values of both.

    largest, mean: of the absolute differences; those of rows that are equal count as 0.
    """

    feature: str
    rows_differing: int
    largest: Decimal | None
    mean: Decimal | None


@dataclass(frozen=True, slots=True)
class ValueDifference:
    """One value that differs."""

    application_id: int
    application_date: date
    feature: str
    first_value: Decimal | None
    second_value: Decimal | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions side by side.

    features: those that both have, in the first one's order. first_values: the first values that
    differ, in the order of the applications. only_one_has: features that are not compared.
    """

    first: int
    second: int
    rows_first: int
    rows_second: int
    rows_both: int
    features: Sequence[FeatureDifference]
    first_values: Sequence[ValueDifference]
    only_one_has: Sequence[str]


async def compare(
    connection: asyncpg.Connection, scripts: Scripts, first: Definition, second: Definition
) -> Comparison:
    """Compares two versions as they stand at one instant.

    Raises RetryableError when one of them has no values.
    """
    versions = {"first_version": first.version, "second_version": second.version}
    shared = [feature for feature in first.features if feature in second.features]
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        rows = await connection.fetchrow(*scripts.call("features/rows_compared", **versions))
        assert rows  # noqa: S101 - an aggregate gives one row, whatever there is
        require_values(first, rows["rows_first"])
        require_values(second, rows["rows_second"])
        apart = await connection.fetch(
            *scripts.call("features/difference", **versions, features=shared)
        )
        differing = await connection.fetch(
            *scripts.call(
                "features/first_differences", **versions, features=shared, rows=SHOWN_DIFFERENCES
            )
        )
    by_name = {row["feature"]: FeatureDifference(**dict(row)) for row in apart}
    return Comparison(
        first.version,
        second.version,
        **dict(rows),
        features=[by_name[feature] for feature in shared if feature in by_name],
        first_values=[ValueDifference(**dict(row)) for row in differing],
        only_one_has=sorted(set(first.features) ^ set(second.features)),
    )


def require_values(definition: Definition, rows: int) -> None:
    """Raises RetryableError when a version has no values to compare."""
    if not rows:
        version = definition.version
        raise RetryableError(
            f"Version {version} has no values yet; `features backfill {version}` computes them"
        )
