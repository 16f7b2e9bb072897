"""SQL scripts by name: `sql/<name>.sql`, with the schema names of the settings filled in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from app.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import TextClause

SQL_FOLDER = Path(__file__).parents[2] / "sql"
EMPTY: Mapping[str, str] = MappingProxyType({})
# As SQLAlchemy finds the values to bind; a cast is written CAST, so `::` never stands in a script.
VALUE = re.compile(r"(?<![:\w]):(\w+)(?!:)")


@cache
def read_script(name: str) -> str:
    """Gives the text of `sql/<name>.sql` as it stands."""
    return (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def schema_names(settings: Settings) -> dict[str, str]:
    """Maps the schema names that models and scripts use to those of the settings."""
    return {"staging": settings.staging_schema, "warehouse": settings.dw_schema}


def quoted(identifier: str) -> str:
    """Gives an identifier as SQL."""
    return '"' + identifier.replace('"', '""') + '"'


class Scripts:
    """The scripts of `sql/`, ready to execute for one set of schema names.

    A script names a schema as `{warehouse}` or `{staging}` and binds values as `:name`.
    """

    def __init__(self, schemas: Mapping[str, str]) -> None:
        self._schemas = schemas

    def schema(self, name: str) -> str:
        """Gives the settings' name of the schema that models call `name`."""
        return self._schemas[name]

    def text(self, name: str, names: Mapping[str, str] = EMPTY, **literals: str) -> str:
        """Gives the script's SQL; values are still to be bound.

        names: further identifiers of the script, such as a partition's `{partition}`.
        literals: SQL text for places where PostgreSQL takes no bound value, as in DDL.
        """
        sql = read_script(name)
        for token, identifier in {**self._schemas, **names}.items():
            sql = sql.replace(f"{{{token}}}", quoted(identifier))
        for token, literal in literals.items():
            sql = sql.replace(f"{{{token}}}", literal)
        return sql

    def call(self, name: str, /, **values: object) -> tuple[Any, ...]:
        """Gives the script as one statement for asyncpg, followed by the values it names."""
        return bound(self.text(name), values)

    def statement(self, name: str) -> TextClause:
        """Gives the script as one statement for SQLAlchemy."""
        return as_clause(self.text(name))

    def statements(
        self, name: str, names: Mapping[str, str] = EMPTY, **literals: str
    ) -> list[TextClause]:
        """Gives the statements of a script that holds several, each ending a line with `;`."""
        parts = self.text(name, names, **literals).split(";\n")
        return [as_clause(part) for part in parts if part.strip()]

    def views(self) -> dict[str, str]:
        """Maps the name of each view's script to the SHA-256 of its SQL."""
        names = sorted(path.stem for path in (SQL_FOLDER / "views").glob("*.sql"))
        return {
            name: hashlib.sha256(self.text(f"views/{name}").encode()).hexdigest() for name in names
        }


def bound(sql: str, values: Mapping[str, object]) -> tuple[Any, ...]:
    """Gives SQL as one statement for asyncpg, followed by the values it names."""
    names: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    sql = VALUE.sub(numbered, sql)
    return (sql, *(values[name] for name in names))


def as_clause(sql: str) -> TextClause:
    """Gives SQL for SQLAlchemy, which is imported here: refresh and export do without it."""
    from sqlalchemy import text  # noqa: PLC0415

    return text(sql)
