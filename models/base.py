"""What all models share: constraint names by convention, and the three schema names."""

from __future__ import annotations

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

NAMING = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

# `staging` and `warehouse` are renamed by the settings; `ops` never is.
OPS = "ops"
STAGING = "staging"
WAREHOUSE = "warehouse"


class Base(DeclarativeBase):
    """The root of every model."""

    metadata = MetaData(naming_convention=NAMING)
