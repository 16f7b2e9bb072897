"""The versions as people look at them and turn back between them; the registry is below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.errors import ConfigError, RetryableError
from app.features import registry
from app.features.definitions import definition_of
from app.store.scripts import Scripts


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version. activated_at: when it last became active, None if it never was."""

    version: int
    features: Sequence[str]
    definition: str
    definition_hash: str
    created_at: datetime
    activated_at: datetime | None
    is_active: bool
    rows_with_values: int


@dataclass(frozen=True, slots=True)
class Activation:
    """A time for which a version was active. withdrawn_at: None unless a rollback ended it."""

    activated_at: datetime
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The version that was withdrawn, and the one that is active again."""

    withdrawn: int
    active: int


async def read_all(connection: asyncpg.Connection, scripts: Scripts) -> list[Version]:
    """Gives every registered version, in their order."""
    rows = await connection.fetch(*scripts.call("features/overview"))
    return [Version(**dict(row)) for row in rows]


async def activations(
    connection: asyncpg.Connection, scripts: Scripts, version: int
) -> list[Activation]:
    """Gives when the version became active, oldest first."""
    rows = await connection.fetch(*scripts.call("features/activations", version=version))
    return [Activation(**dict(row)) for row in rows]


async def rows_missing(connection: asyncpg.Connection, scripts: Scripts, version: int) -> int:
    """Counts the applications that have no values of the version."""
    count: int = await connection.fetchval(*scripts.call("features/missing", version=version))
    return count


async def require_same(connection: asyncpg.Connection, scripts: Scripts, version: int) -> None:
    """Raises ConfigError unless the version is registered as this code defines it.

    So are all versions that were ever activated; no migration changes it before the transaction's
    end.
    """
    await registry.active(connection, scripts)
    definition = definition_of(version)
    registered = await connection.fetchval(*scripts.call("features/registered", version=version))
    if registered != definition.definition_hash:
        raise ConfigError(
            f"Version {version} of the risk-score features is registered with the definition"
            f" {registered}, but sql/{definition.script}.sql is {definition.definition_hash}; run"
            " `python -m app migrate`"
        )


async def roll_back(connection: asyncpg.Connection, scripts: Scripts) -> RolledBack:
    """Makes the version active that was so before, in the transaction of who holds the lane.

    No values change. Raises RetryableError when no other activation stands, ConfigError when an
    activated version is another one in this code.
    """
    await registry.active(connection, scripts)
    row = await connection.fetchrow(*scripts.call("features/roll_back"))
    if row is None:
        raise RetryableError(
            "There is nothing to roll back: no other version was active before this one"
        )
    return RolledBack(**dict(row))
