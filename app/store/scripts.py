"""SQL scripts by name: `sql/<name>.sql`, with the schema names of the settings filled in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sqlalchemy import TextClause, text
from sqlalchemy.dialects import postgresql

from app.settings import Settings

SQL_FOLDER = Path(__file__).parents[2] / "sql"
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

    def text(self, name: str) -> str:
        """Gives the script's SQL; values are still to be bound."""
        sql = read_script(name)
        for token, schema in self._schemas.items():
            sql = sql.replace(f"{{{token}}}", _quote(schema))
        return sql

    def statement(self, name: str) -> TextClause:
        """Gives the script as one statement for SQLAlchemy."""
        return text(self.text(name))

    def views(self) -> dict[str, tuple[str, str]]:
        """Maps the name of each view's script to its SQL and the SHA-256 of it."""
        names = sorted(path.stem for path in (SQL_FOLDER / "views").glob("*.sql"))
        sqls = {name: self.text(f"views/{name}") for name in names}
        return {name: (sql, hashlib.sha256(sql.encode()).hexdigest()) for name, sql in sqls.items()}
