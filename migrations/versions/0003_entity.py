"""Entity, by month, and its daily aggregates.

Revision: 0003, after: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.names import schema_names
from migrations.views import drop_views

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    names = schema_names()
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "entity",
        sa.Column(
            "created_at",
            sa.DateTime(),
            nullable=False,
            comment="When the value was measured, as the source says",
        ),
        sa.Column(
            "entity_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="The source's id, or the row's position in its month file",
        ),
        sa.Column("value", sa.BigInteger(), nullable=False, comment="The measured value"),
        sa.Column("load_id", sa.BigInteger(), nullable=False, comment="Load that wrote the row"),
        sa.PrimaryKeyConstraint("created_at", "entity_id", name=op.f("pk_entity")),
        schema=names.warehouse,
        comment="Measured values; each month is one partition and equals its newest file.",
        postgresql_partition_by="RANGE (created_at)",
    )
    op.create_table(
        "entity_daily",
        sa.Column("day", sa.Date(), nullable=False, comment="The calendar day"),
        sa.Column("row_count", sa.BigInteger(), nullable=False, comment="Rows of the day"),
        sa.Column(
            "sum_value",
            sa.Numeric(precision=38, scale=0),
            nullable=False,
            comment="Sum of the day's values",
        ),
        sa.Column(
            "min_value", sa.BigInteger(), nullable=False, comment="Smallest value of the day"
        ),
        sa.Column("max_value", sa.BigInteger(), nullable=False, comment="Largest value of the day"),
        sa.Column(
            "refreshed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When these numbers were computed",
        ),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_entity_daily")),
        schema=names.warehouse,
        comment="Aggregates of each day with values.",
    )


def downgrade() -> None:
    names = schema_names()
    op.execute("SET LOCAL lock_timeout = '10s'")
    drop_views("entity_stats_daily", "entity_stats_monthly", "entity_stats_yearly")
    op.drop_table("entity_daily", schema=names.warehouse)
    op.drop_table("entity", schema=names.warehouse)
