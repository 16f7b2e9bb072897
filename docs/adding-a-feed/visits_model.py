"""Visits: one row per day and shop."""

from __future__ import annotations

from datetime import date

from sqlalchemy import BigInteger, CheckConstraint, Date, Text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import STAGING, WAREHOUSE, Base


class StagedVisits(Base):
    """Rows of the visits file that is being loaded; the contract's columns, in any order."""

    __tablename__ = "visits"
    __table_args__ = (
        {
            "schema": STAGING,
            "prefixes": ["UNLOGGED"],
            "comment": "Rows of the visits load under way; empty between loads.",
        },
    )

    __mapper_args__ = {"primary_key": ["line_number"]}  # noqa: RUF012 - as SQLAlchemy declares it

    line_number: Mapped[int] = mapped_column(BigInteger, comment="Physical line of the file")
    day: Mapped[date] = mapped_column(Date, comment="Day of the visits")
    shop: Mapped[str] = mapped_column(Text, comment="Name of the shop")
    visitors: Mapped[int] = mapped_column(BigInteger, comment="People counted at the door")


class Visits(Base):
    """Visits by day and shop, as the newest file says."""

    __tablename__ = "visits"
    __table_args__ = (
        CheckConstraint("visitors >= 0", name="visitors_not_negative"),
        {"schema": WAREHOUSE, "comment": "Visits by day and shop, as the newest file says."},
    )

    day: Mapped[date] = mapped_column(Date, primary_key=True, comment="Day of the visits")
    shop: Mapped[str] = mapped_column(Text, primary_key=True, comment="Name of the shop")
    visitors: Mapped[int] = mapped_column(BigInteger, comment="People counted at the door")
    load_id: Mapped[int] = mapped_column(BigInteger, comment="Load that last changed the number")
