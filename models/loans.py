"""Loans: one row per repayment date, and the history of its rolling averages."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Date, Float, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import STAGING, WAREHOUSE, Base
from models.ops import INSTANT


class StagedLoans(Base):
    """Rows of the loans file that is being loaded; empty between loads."""

    __tablename__ = "loans"
    __table_args__ = (
        {
            "schema": STAGING,
            "prefixes": ["UNLOGGED"],
            "comment": "Rows of the loans load under way; empty between loads.",
        },
    )

    __mapper_args__ = {"primary_key": ["line_number"]}  # noqa: RUF012 - as SQLAlchemy declares it

    line_number: Mapped[int] = mapped_column(BigInteger, comment="Physical line of the file")
    repayment_date: Mapped[date] = mapped_column(Date, comment="Day the loans were due")
    loans: Mapped[int] = mapped_column(BigInteger, comment="Loans due on the day")
    defaults: Mapped[int] = mapped_column(BigInteger, comment="Of these, defaulted")
    liquidations: Mapped[int] = mapped_column(BigInteger, comment="Of these, liquidated")
    as_of: Mapped[date] = mapped_column(Date, comment="Day the file's numbers describe")


class Loans(Base):
    """Loans by repayment date, as the newest file says."""

    __tablename__ = "loans"
    __table_args__ = (
        CheckConstraint(
            "loans >= 0 AND defaults >= 0 AND liquidations >= 0", name="counts_not_negative"
        ),
        CheckConstraint("defaults + liquidations <= loans", name="outcomes_within_loans"),
        {"schema": WAREHOUSE, "comment": "Loans by repayment date, as the newest file says."},
    )

    repayment_date: Mapped[date] = mapped_column(
        Date, primary_key=True, comment="Day the loans were due"
    )
    loans: Mapped[int] = mapped_column(BigInteger, comment="Loans due on the day")
    defaults: Mapped[int] = mapped_column(BigInteger, comment="Of these, defaulted")
    liquidations: Mapped[int] = mapped_column(BigInteger, comment="Of these, liquidated")
    as_of: Mapped[date] = mapped_column(
        Date, comment="Day the numbers describe; a row of an older day never replaces it"
    )
    load_id: Mapped[int] = mapped_column(BigInteger, comment="Load that last changed the numbers")
    updated_at: Mapped[datetime] = mapped_column(
        INSTANT, comment="When the numbers last changed here"
    )


class DefaultLiquidationRollingAvgHist(Base):
    """Every version of every day's ratio and rolling averages."""

    __tablename__ = "default_liquidation_rolling_avg_hist"
    __table_args__ = (
        Index(
            "uq_default_liquidation_rolling_avg_hist_current",
            "repayment_date",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
        Index(
            "ix_default_liquidation_rolling_avg_hist_versions",
            "repayment_date",
            "created_at",
        ),
        {
            "schema": WAREHOUSE,
            "comment": "Every version of each day's liquidation-to-default ratio and its rolling"
            " averages; a refresh adds a version only where something changed.",
        },
    )

    version_id: Mapped[int] = mapped_column(
        BigInteger, Identity(), primary_key=True, comment="Identifies the version"
    )
    repayment_date: Mapped[date] = mapped_column(Date, comment="Day the loans were due")
    loans: Mapped[int] = mapped_column(BigInteger, comment="Loans due on the day")
    defaults: Mapped[int] = mapped_column(BigInteger, comment="Of these, defaulted")
    liquidations: Mapped[int] = mapped_column(BigInteger, comment="Of these, liquidated")
    liquidation_to_default_ratio: Mapped[float | None] = mapped_column(
        Float(53), comment="liquidations / defaults; null where defaults = 0"
    )
    rolling_avg_prev_7d: Mapped[float | None] = mapped_column(
        Float(53), comment="Mean of the ratio over the 7 calendar days before the day"
    )
    rolling_avg_trailing_7d: Mapped[float | None] = mapped_column(
        Float(53), comment="Mean of the ratio over the day and the 6 calendar days before it"
    )
    created_at: Mapped[datetime] = mapped_column(INSTANT, comment="When the version was computed")
    superseded_at: Mapped[datetime | None] = mapped_column(
        INSTANT, comment="When a newer version replaced it; null for the current one"
    )
