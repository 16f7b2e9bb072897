"""The settings' schema names, for migrations."""

from __future__ import annotations

from dataclasses import dataclass

from alembic import op

from app.settings import load_settings


@dataclass(frozen=True, slots=True)
class SchemaNames:
    """Names to use in place of `staging` and `warehouse`."""

    staging: str
    warehouse: str


def schema_names() -> SchemaNames:
    """Gives the names of the settings that the migration runs with."""
    context = op.get_context()
    settings = (context.config and context.config.attributes.get("settings")) or load_settings()
    return SchemaNames(staging=settings.staging_schema, warehouse=settings.dw_schema)
