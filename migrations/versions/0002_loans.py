"""Loans and their rolling averages.

Revision: 0002, after: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.names import schema_names
from migrations.views import drop_views

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    names = schema_names()
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "loans",
        sa.Column(
            "line_number", sa.BigInteger(), nullable=False, comment="Physical line of the file"
        ),
        sa.Column("repayment_date", sa.Date(), nullable=False, comment="Day the loans were due"),
        sa.Column("loans", sa.BigInteger(), nullable=False, comment="Loans due on the day"),
        sa.Column("defaults", sa.BigInteger(), nullable=False, comment="Of these, defaulted"),
        sa.Column("liquidations", sa.BigInteger(), nullable=False, comment="Of these, liquidated"),
        sa.Column("as_of", sa.Date(), nullable=False, comment="Day the file's numbers describe"),
        schema=names.staging,
        comment="Rows of the loans load under way; empty between loads.",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "default_liquidation_rolling_avg_hist",
        sa.Column(
            "version_id",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Identifies the version",
        ),
        sa.Column("repayment_date", sa.Date(), nullable=False, comment="Day the loans were due"),
        sa.Column("loans", sa.BigInteger(), nullable=False, comment="Loans due on the day"),
        sa.Column("defaults", sa.BigInteger(), nullable=False, comment="Of these, defaulted"),
        sa.Column("liquidations", sa.BigInteger(), nullable=False, comment="Of these, liquidated"),
        sa.Column(
            "liquidation_to_default_ratio",
            sa.Float(precision=53),
            nullable=True,
            comment="liquidations / defaults; null where defaults = 0",
        ),
        sa.Column(
            "rolling_avg_prev_7d",
            sa.Float(precision=53),
            nullable=True,
            comment="Mean of the ratio over the 7 calendar days before the day",
        ),
        sa.Column(
            "rolling_avg_trailing_7d",
            sa.Float(precision=53),
            nullable=True,
            comment="Mean of the ratio over the day and the 6 calendar days before it",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the version was computed",
        ),
        sa.Column(
            "superseded_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When a newer version replaced it; null for the current one",
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_default_liquidation_rolling_avg_hist")),
        schema=names.warehouse,
        comment="Every version of each day's liquidation-to-default ratio and its rolling averages; a refresh adds a version only where something changed.",
    )
    op.create_index(
        "ix_default_liquidation_rolling_avg_hist_versions",
        "default_liquidation_rolling_avg_hist",
        ["repayment_date", "created_at"],
        unique=False,
        schema=names.warehouse,
    )
    op.create_index(
        "uq_default_liquidation_rolling_avg_hist_current",
        "default_liquidation_rolling_avg_hist",
        ["repayment_date"],
        unique=True,
        schema=names.warehouse,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "loans",
        sa.Column("repayment_date", sa.Date(), nullable=False, comment="Day the loans were due"),
        sa.Column("loans", sa.BigInteger(), nullable=False, comment="Loans due on the day"),
        sa.Column("defaults", sa.BigInteger(), nullable=False, comment="Of these, defaulted"),
        sa.Column("liquidations", sa.BigInteger(), nullable=False, comment="Of these, liquidated"),
        sa.Column(
            "as_of",
            sa.Date(),
            nullable=False,
            comment="Day the numbers describe; a row of an older day never replaces it",
        ),
        sa.Column(
            "load_id", sa.BigInteger(), nullable=False, comment="Load that last changed the numbers"
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the numbers last changed here",
        ),
        sa.CheckConstraint(
            "defaults + liquidations <= loans", name=op.f("ck_loans_outcomes_within_loans")
        ),
        sa.CheckConstraint(
            "loans >= 0 AND defaults >= 0 AND liquidations >= 0",
            name=op.f("ck_loans_counts_not_negative"),
        ),
        sa.PrimaryKeyConstraint("repayment_date", name=op.f("pk_loans")),
        schema=names.warehouse,
        comment="Loans by repayment date, as the newest file says.",
    )


def downgrade() -> None:
    names = schema_names()
    op.execute("SET LOCAL lock_timeout = '10s'")
    drop_views("default_liquidation_rolling_avg")
    op.drop_table("loans", schema=names.warehouse)
    op.drop_index(
        "uq_default_liquidation_rolling_avg_hist_current",
        table_name="default_liquidation_rolling_avg_hist",
        schema=names.warehouse,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.drop_index(
        "ix_default_liquidation_rolling_avg_hist_versions",
        table_name="default_liquidation_rolling_avg_hist",
        schema=names.warehouse,
    )
    op.drop_table("default_liquidation_rolling_avg_hist", schema=names.warehouse)
    op.drop_table("loans", schema=names.staging)
