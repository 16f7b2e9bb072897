"""The registry of versions in the warehouse: which there are, which is active, which are fixed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import asyncpg
from sqlalchemy import Connection, text

from app.errors import ConfigError
from app.features.definitions import Definition, all_definitions, definition_of
from app.store.scripts import Scripts
from models.base import WAREHOUSE

FIRST_VERSION = 0


def bring_up_to_date(connection: Connection, scripts: Scripts) -> None:
    """Registers this code's versions, with a table for the values of each.

    Values that a version has by another definition, never activated, are removed. The first version
    is activated where none is. Runs inside the caller's transaction. Raises ConfigError when a
    version that was activated is another one in this code.
    """
    for definition in all_definitions():
        registered = connection.execute(
            scripts.statement("features/register"),
            {
                "version": definition.version,
                "features": list(definition.features),
                "definition": definition.text,
                "definition_hash": definition.definition_hash,
            },
        )
        connection.execute(text(partition_statement(scripts, definition.version)))
        if registered.rowcount:
            connection.execute(text(f"TRUNCATE {partition(scripts, definition.version)}"))
    versions = connection.execute(scripts.statement("features/versions")).mappings().all()
    require_same(versions)
    if versions[0]["activated_at"] is None:
        connection.execute(scripts.statement("features/activate"), {"version": FIRST_VERSION})


def partition_statement(scripts: Scripts, version: int) -> str:
    """Gives the statement that makes the table of a version's values."""
    return scripts.text(
        "features/partition", partition=partition(scripts, version), version=str(version)
    )


def partition(scripts: Scripts, version: int) -> str:
    """Gives the table of a version's values as SQL."""
    return f'"{scripts.schema(WAREHOUSE)}"."risk_score_feature_v{version}"'


def require_same(versions: Iterable[Any]) -> None:
    """Raises ConfigError when an activated version's definition is another one in this code."""
    known = {each.version: each for each in all_definitions()}
    for row in versions:
        definition = known.get(row["version"])
        if row["activated_at"] is None or definition is None:
            continue
        if row["definition_hash"] != definition.definition_hash:
            raise ConfigError(
                f"Version {definition.version} of the risk-score features was activated with the"
                f" definition {row['definition_hash']}, but sql/{definition.script}.sql is"
                f" {definition.definition_hash}. An activated version never changes: put its text"
                " back, and make the change a new version."
            )


async def active(connection: asyncpg.Connection, scripts: Scripts) -> Definition:
    """Gives the version that new rows are computed with.

    Raises ConfigError when an activated version is another one in this code, or unknown to it.
    """
    versions = await connection.fetch(*scripts.call("features/versions"))
    require_same(versions)
    if not versions or versions[0]["activated_at"] is None:
        raise ConfigError("No version of the risk-score features is active; run `migrate`")
    return definition_of(versions[0]["version"])


async def activate(connection: asyncpg.Connection, scripts: Scripts, version: int) -> None:
    """Makes a version the active one, in the caller's transaction, who holds the feed's lane.

    Raises ConfigError for a version that is unknown, or was activated with another definition.
    """
    definition_of(version)
    require_same(await connection.fetch(*scripts.call("features/versions")))
    await connection.execute(*scripts.call("features/activate", version=version))
