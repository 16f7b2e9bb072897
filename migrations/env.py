"""Alembic's entry: async engine, our three schemas, one transaction for a whole upgrade.

The address comes from the configuration attribute `database_url` when a command passes one,
else from the settings, as for every other command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from alembic import context
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.errors import ConfigError, SluiceError
from app.features import registry
from app.settings import Settings, load_settings
from app.store import roles, views
from app.store.database import open_database
from app.store.engine import driver_errors, engine_url
from app.store.scripts import Scripts, schema_names
from models import metadata_for
from models.base import OPS

# One migration at a time, over all hosts: the key is Sluice's own, any fixed number would do.
MIGRATION_LOCK = 7_583_923_001
LOCK_TIMEOUT = "10s"
OWNER = """
SELECT
    pg_get_userbyid(relowner) AS owner,
    current_user AS login,
    pg_has_role(relowner, 'USAGE') AS may_migrate
FROM pg_class
WHERE oid = to_regclass(:table)
"""


def require_owner(connection: Connection) -> None:
    """Raises ConfigError when this login may not change the tables that are there."""
    found = connection.execute(text(OWNER), {"table": f"{OPS}.alembic_version"}).one_or_none()
    if found and not found.may_migrate:
        raise ConfigError(
            f"Migrations need the rights of {found.owner}, who owns the tables, and this address is"
            f" {found.login}'s. Set OWNER_DATABASE_URL to one of {found.owner}'s, or INIT_DB=false"
            " where migrations are run elsewhere."
        )


def make_schemas(connection: Connection, schemas: Mapping[str, str]) -> None:
    """Makes the schemas that are missing; Alembic's own table lies in `ops`."""
    for schema in (OPS, *schemas.values()):
        connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))


def drop_tables(connection: Connection, metadata: MetaData) -> None:
    """Drops our tables, whatever revision they are of, and what depends on them."""
    preparer = connection.dialect.identifier_preparer
    ours = [preparer.format_table(table) for table in metadata.tables.values()]
    for table in (f"{OPS}.alembic_version", *ours):
        connection.execute(text(f"DROP TABLE IF EXISTS {table} CASCADE"))


def partition_names(connection: Connection) -> set[str]:
    """Names of all partitions: loads make and drop them, migrations never do."""
    rows = connection.execute(text("SELECT relname FROM pg_class WHERE relispartition"))
    return set(rows.scalars())


def configure(connection: Connection, metadata: MetaData, schemas: Mapping[str, str]) -> None:
    """Tells Alembic which tables are ours and how autogenerate writes schema names."""
    ours = {OPS, *schemas.values()}
    partitions = partition_names(connection)

    def include_name(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "schema" or name in ours

    def include_object(_item: Any, name: str | None, kind: str, *_: Any) -> bool:
        return kind != "table" or name not in partitions

    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=OPS,
        include_schemas=True,
        include_name=include_name,
        include_object=include_object,
        compare_type=True,
        compare_server_default=True,
        template_args={"schemas": dict(schemas)},
    )


def migrate(connection: Connection, settings: Settings) -> None:
    """Runs the asked-for migrations, then brings what is not a table up to date at the head."""
    schemas = schema_names(settings)
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
    require_owner(connection)
    make_schemas(connection, schemas)
    metadata = metadata_for(schemas)
    if context.config.attributes.get("anew"):
        drop_tables(connection, metadata)
    configure(connection, metadata, schemas)
    with context.begin_transaction():
        context.run_migrations()
    here = context.get_context().get_current_heads()
    if here and set(here) == set(ScriptDirectory.from_config(context.config).get_heads()):
        scripts = Scripts(schemas)
        views.bring_up_to_date(connection, scripts)
        registry.bring_up_to_date(connection, scripts)
        roles.bring_up_to_date(connection, scripts, settings)


async def run_online(settings: Settings, database_url: str) -> None:
    """Connects once and migrates in one transaction."""
    engine = create_async_engine(engine_url(database_url), hide_parameters=True, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(migrate, settings)
    await engine.dispose()


def main() -> None:
    """Finds the settings and the database, and runs."""
    if context.is_offline_mode():
        raise SystemExit("Sluice's migrations need a database: run without --sql.")
    settings = context.config.attributes.get("settings") or load_settings()
    database_url = context.config.attributes.get("database_url")
    if database_url:
        asyncio.run(run_online(settings, database_url))
        return
    with open_database(settings) as database, driver_errors():
        asyncio.run(run_online(settings, database.owner_url))


try:
    main()
except SluiceError as error:
    if context.config.cmd_opts is None:  # called by a command of ours, which says it itself
        raise
    raise CommandError(str(error)) from error
