"""Keeps the database's views equal to the scripts in `sql/views/`."""

from __future__ import annotations

import asyncpg
from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from app.errors import ConfigError
from app.store.engine import driver_error
from app.store.scripts import Scripts
from models.ops import ViewDefinition


def bring_up_to_date(connection: Connection, scripts: Scripts) -> list[str]:
    """Creates or replaces each view whose script changed since it was last run.

    Returns the names of those scripts. Runs inside the caller's transaction. A script that
    only adds columns at the end replaces its view; other changes need a migration that drops
    the view first, and ConfigError says so.
    """
    known = dict(connection.execute(select(ViewDefinition.name, ViewDefinition.sha256)).all())
    changed = []
    for name, sha256 in scripts.views().items():
        if known.get(name) == sha256:
            continue
        replace_view(connection, scripts, name)
        row = {"name": name, "sha256": sha256}
        connection.execute(
            insert(ViewDefinition)
            .values(row)
            .on_conflict_do_update(index_elements=["name"], set_=row)
        )
        changed.append(name)
    return changed


def replace_view(connection: Connection, scripts: Scripts, name: str) -> None:
    """Runs a view's script. Raises ConfigError when the view that is there cannot become it."""
    try:
        for statement in scripts.statements(f"views/{name}"):
            connection.execute(statement)
    except DBAPIError as error:
        cause = driver_error(error)
        if not isinstance(cause, asyncpg.InvalidTableDefinitionError):
            raise
        reason = str(cause).splitlines()[0]
        raise ConfigError(
            f"sql/views/{name}.sql cannot replace the view that is there: {reason}. Drop the view"
            " in a migration, with migrations.views.drop_views, and the script makes it again."
        ) from error
