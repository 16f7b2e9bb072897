"""Keeps the database's views equal to the scripts in `sql/views/`."""

from __future__ import annotations

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from app.store.scripts import Scripts
from models.ops import ViewDefinition


def bring_up_to_date(connection: Connection, scripts: Scripts) -> list[str]:
    """Creates or replaces each view whose script changed since it was last run.

    Returns the names of those scripts. Runs inside the caller's transaction. A script that
    only adds columns at the end replaces its view; other changes need a migration that drops
    the view first.
    """
    known = dict(connection.execute(select(ViewDefinition.name, ViewDefinition.sha256)).all())
    changed = []
    for name, sha256 in scripts.views().items():
        if known.get(name) == sha256:
            continue
        for statement in scripts.statements(f"views/{name}"):
            connection.execute(statement)
        row = {"name": name, "sha256": sha256}
        connection.execute(
            insert(ViewDefinition)
            .values(row)
            .on_conflict_do_update(index_elements=["name"], set_=row)
        )
        changed.append(name)
    return changed
