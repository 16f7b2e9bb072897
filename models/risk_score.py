"""Risk scores: declined applications in the order of their loads, and their versioned features."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.base import STAGING, WAREHOUSE, Base
from models.ops import INSTANT


class StagedRiskScores(Base):
    """Rows of the risk scores file that is being loaded; empty between loads."""

    __tablename__ = "risk_scores"
    __table_args__ = (
        {
            "schema": STAGING,
            "prefixes": ["UNLOGGED"],
            "comment": "Rows of the risk scores load under way; empty between loads.",
        },
    )

    __mapper_args__ = {"primary_key": ["line_number"]}  # noqa: RUF012 - as SQLAlchemy declares it

    line_number: Mapped[int] = mapped_column(BigInteger, comment="Physical line of the file")
    amount_requested: Mapped[Decimal] = mapped_column(Numeric(), comment="Amount asked for")
    application_date: Mapped[date] = mapped_column(Date, comment="Day of the application")
    loan_title: Mapped[str | None] = mapped_column(Text, comment="Title the applicant gave")
    risk_score: Mapped[Decimal | None] = mapped_column(Numeric(), comment="Score, if there is one")
    debt_to_income: Mapped[Decimal | None] = mapped_column(
        Numeric(), comment="Debt-to-income ratio in percent"
    )
    zip_code: Mapped[str | None] = mapped_column(Text, comment="Zip code, its end masked")
    state: Mapped[str | None] = mapped_column(Text, comment="State of the applicant")
    employment_length: Mapped[str | None] = mapped_column(Text, comment="Employment, in words")
    policy_code: Mapped[int | None] = mapped_column(BigInteger, comment="The lender's policy")


class RiskScore(Base):
    """Declined applications in the order of their loads; each file's rows stay in its place."""

    __tablename__ = "risk_score"
    __table_args__ = (
        CheckConstraint("amount_requested >= 0", name="amount_not_negative"),
        CheckConstraint("risk_score >= 0", name="score_not_negative"),
        # Windows look backwards for scores, and there may be millions of rows without one.
        Index(
            "ix_risk_score_scored",
            "application_id",
            postgresql_where=text("risk_score IS NOT NULL"),
        ),
        {
            "schema": WAREHOUSE,
            "comment": "Declined applications in the order of their loads; within a file by"
            " application date, then line.",
        },
    )

    application_id: Mapped[int] = mapped_column(
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="Place of the file, which is its first load_id, times 2^32, plus the row's rank",
    )
    amount_requested: Mapped[Decimal] = mapped_column(Numeric(), comment="Amount asked for")
    application_date: Mapped[date] = mapped_column(Date, comment="Day of the application")
    loan_title: Mapped[str | None] = mapped_column(
        Text, comment="Title the applicant gave; null when empty"
    )
    risk_score: Mapped[Decimal | None] = mapped_column(
        Numeric(), comment="Score; null when the file has none, and 0 is a score"
    )
    debt_to_income: Mapped[Decimal | None] = mapped_column(
        Numeric(), comment="Debt-to-income ratio in percent, as written; may be negative"
    )
    zip_code: Mapped[str | None] = mapped_column(Text, comment="Zip code, its end masked")
    state: Mapped[str | None] = mapped_column(Text, comment="State of the applicant")
    employment_length: Mapped[str | None] = mapped_column(
        Text, comment="Length of employment, in words"
    )
    policy_code: Mapped[int | None] = mapped_column(SmallInteger, comment="The lender's policy")
    load_id: Mapped[int] = mapped_column(BigInteger, comment="Load that last changed the row")


class FeatureVersion(Base):
    """The registry: what each version of the features is, and since when it may not change."""

    __tablename__ = "feature_version"
    __table_args__ = (
        {
            "schema": WAREHOUSE,
            "comment": "Versions of the risk-score features; the one activated last is active.",
        },
    )

    version: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=False, comment="Number of the version, from 0"
    )
    features: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="Columns the version has")
    definition: Mapped[str] = mapped_column(Text, comment="The query that gives its values")
    definition_hash: Mapped[str] = mapped_column(
        Text, comment="SHA-256 of the definition's text, in hex"
    )
    created_at: Mapped[datetime] = mapped_column(INSTANT, comment="When it was registered")
    activated_at: Mapped[datetime | None] = mapped_column(
        INSTANT,
        comment="When it last became the active version; from then on its definition is fixed",
    )


class FeatureActivation(Base):
    """Each time a version became the active one."""

    __tablename__ = "feature_activation"
    __table_args__ = (
        {"schema": WAREHOUSE, "comment": "Activations of feature versions, in their order."},
    )

    activation_id: Mapped[int] = mapped_column(
        BigInteger, Identity(), primary_key=True, comment="Identifies the activation, in order"
    )
    version: Mapped[int] = mapped_column(
        Integer,
        ForeignKey(f"{WAREHOUSE}.feature_version.version"),
        comment="The version that became active",
    )
    activated_at: Mapped[datetime] = mapped_column(INSTANT, comment="When it became active")
    withdrawn_at: Mapped[datetime | None] = mapped_column(
        INSTANT, comment="When a rollback took it back; null while it stands"
    )


class RiskScoreFeature(Base):
    """Feature values, a partition per version."""

    __tablename__ = "risk_score_feature"
    __table_args__ = (
        {
            "schema": WAREHOUSE,
            "postgresql_partition_by": "LIST (version)",
            "comment": "Values of the risk-score features by version and application.",
        },
    )

    version: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=False, comment="Version of the features"
    )
    application_id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False, comment="The application"
    )
    ma50: Mapped[Decimal | None] = mapped_column(
        Numeric(), comment="Mean of the scores before, as the version defines it; 6 decimals"
    )
    ma100: Mapped[Decimal | None] = mapped_column(
        Numeric(), comment="Mean of the last 100 scores; null in versions without it"
    )
    carried: Mapped[Decimal | None] = mapped_column(
        Numeric(), comment="What the next value goes on from: the exponential mean to 20 decimals"
    )
    modified_at: Mapped[datetime] = mapped_column(
        INSTANT, comment="When the values were computed or last changed"
    )
