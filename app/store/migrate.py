"""Brings the schema to the newest revision, as `alembic upgrade head` does."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.settings import Settings

PROJECT = Path(__file__).parents[2]


def alembic_config(settings: Settings, database_url: str) -> Config:
    """Gives the project's Alembic configuration, bound to one database."""
    config = Config(toml_file=PROJECT / "pyproject.toml")
    config.attributes.update(settings=settings, database_url=database_url)
    return config


def upgrade(settings: Settings, database_url: str) -> str:
    """Migrates to the newest revision under an advisory lock, and gives that revision.

    With `DEV` our tables are dropped first, in the same transaction. Blocks, and runs an event
    loop of its own: call it in a thread.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = alembic_config(settings, database_url)
    config.attributes["anew"] = settings.dev
    command.upgrade(config, "head")
    return ScriptDirectory.from_config(config).get_current_head() or "base"
