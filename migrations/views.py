"""Dropping views in migrations; `sql/views/` makes them again once the schema is at its head."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.names import schema_names


def drop_views(*view_names: str) -> None:
    """Drops views of the warehouse and forgets their scripts, so that both can come again."""
    names = schema_names()
    for view in view_names:
        op.execute(f'DROP VIEW IF EXISTS "{names.warehouse}"."{view}"')
        op.execute(
            sa.text("DELETE FROM ops.view_definition WHERE name = :name").bindparams(name=view)
        )
