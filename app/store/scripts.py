"""SQL scripts by name: `sql/<name>.sql`, with the schema names of the settings filled in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import TextClause, text
from sqlalchemy.dialects import postgresql

from app.settings import Settings

SQL_FOLDER = Path(__file__).parents[2] / "sql"
EMPTY: Mapping[str, str] = MappingProxyType({})
_quote = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]


@cache
def read_script(name: str) -> str:
    """Gives the text of `sql/<name>.sql` as it stands."""
    return (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def schema_names(settings: Settings) -> dict[str, str]:
    """Maps the schema names that models and scripts use to those of the settings."""
    return {"staging": settings.staging_schema, "warehouse": settings.dw_schema}


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
            sql = sql.replace(f"{{{token}}}", _quote(identifier))
        for token, literal in literals.items():
            sql = sql.replace(f"{{{token}}}", literal)
        return sql

    def statement(self, name: str) -> TextClause:
        """Gives the script as one statement for SQLAlchemy."""
        return text(self.text(name))

    def statements(
        self, name: str, names: Mapping[str, str] = EMPTY, **literals: str
    ) -> list[TextClause]:
        """Gives the statements of a script that holds several, each ending a line with `;`."""
        parts = self.text(name, names, **literals).split(";\n")
        return [text(part) for part in parts if part.strip()]

    def views(self) -> dict[str, str]:
        """Maps the name of each view's script to the SHA-256 of its SQL."""
        names = sorted(path.stem for path in (SQL_FOLDER / "views").glob("*.sql"))
        return {
            name: hashlib.sha256(self.text(f"views/{name}").encode()).hexdigest() for name in names
        }
