"""Visits, by day and shop.

Revision: 0005, after: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.names import schema_names

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    names = schema_names()
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "visits",
        sa.Column(
            "line_number", sa.BigInteger(), nullable=False, comment="Physical line of the file"
        ),
        sa.Column("day", sa.Date(), nullable=False, comment="Day of the visits"),
        sa.Column("shop", sa.Text(), nullable=False, comment="Name of the shop"),
        sa.Column(
            "visitors", sa.BigInteger(), nullable=False, comment="People counted at the door"
        ),
        schema=names.staging,
        comment="Rows of the visits load under way; empty between loads.",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "visits",
        sa.Column("day", sa.Date(), nullable=False, comment="Day of the visits"),
        sa.Column("shop", sa.Text(), nullable=False, comment="Name of the shop"),
        sa.Column(
            "visitors", sa.BigInteger(), nullable=False, comment="People counted at the door"
        ),
        sa.Column(
            "load_id", sa.BigInteger(), nullable=False, comment="Load that last changed the number"
        ),
        sa.CheckConstraint("visitors >= 0", name=op.f("ck_visits_visitors_not_negative")),
        sa.PrimaryKeyConstraint("day", "shop", name=op.f("pk_visits")),
        schema=names.warehouse,
        comment="Visits by day and shop, as the newest file says.",
    )


def downgrade() -> None:
    names = schema_names()
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.drop_table("visits", schema=names.warehouse)
    op.drop_table("visits", schema=names.staging)
