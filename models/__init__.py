"""SQLAlchemy models of every table, one module per feed plus `ops` for the ledger.

`metadata_for` imports every module of this package, so a feed's tables are known to Alembic
as soon as its file is here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping

from sqlalchemy import MetaData

from models.base import NAMING, Base


def metadata_for(schemas: Mapping[str, str]) -> MetaData:
    """Gives the tables of all modules, with their schemas renamed by `schemas`.

    schemas: from the names the models use (`staging`, `warehouse`) to those of the settings.
    """
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    renamed = MetaData(naming_convention=NAMING)
    for table in Base.metadata.tables.values():
        own = table.schema or ""
        copy = table.to_metadata(
            renamed,
            schema=schemas.get(own, own),
            referred_schema_fn=lambda _table, _to, _constraint, referred: schemas.get(
                referred or "", referred
            ),
        )
        copy._prefixes = table._prefixes  # noqa: SLF001 - to_metadata forgets UNLOGGED
    return renamed
