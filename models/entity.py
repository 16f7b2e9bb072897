"""Entity: measured values, one partition per month, and their daily aggregates."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Date, DateTime, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from models.base import WAREHOUSE, Base
from models.ops import INSTANT


class Entity(Base):
    """Measured values; each month is one partition and equals its newest file."""

    __tablename__ = "entity"
    __table_args__ = (
        {
            "schema": WAREHOUSE,
            "postgresql_partition_by": "RANGE (created_at)",
            "comment": "Measured values; each month is one partition and equals its newest file.",
        },
    )

    created_at: Mapped[datetime] = mapped_column(
        DateTime(), primary_key=True, comment="When the value was measured, as the source says"
    )
    entity_id: Mapped[int] = mapped_column(
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="The source's id, or the row's position in its month file",
    )
    value: Mapped[int] = mapped_column(BigInteger, comment="The measured value")
    load_id: Mapped[int] = mapped_column(BigInteger, comment="Load that wrote the row")


class EntityDaily(Base):
    """Aggregates of each day that has values."""

    __tablename__ = "entity_daily"
    __table_args__ = ({"schema": WAREHOUSE, "comment": "Aggregates of each day with values."},)

    day: Mapped[date] = mapped_column(Date, primary_key=True, comment="The calendar day")
    row_count: Mapped[int] = mapped_column(BigInteger, comment="Rows of the day")
    sum_value: Mapped[int] = mapped_column(Numeric(38, 0), comment="Sum of the day's values")
    min_value: Mapped[int] = mapped_column(BigInteger, comment="Smallest value of the day")
    max_value: Mapped[int] = mapped_column(BigInteger, comment="Largest value of the day")
    refreshed_at: Mapped[datetime] = mapped_column(
        INSTANT, comment="When these numbers were computed"
    )
