"""Offsets of streams, and where a rejected message stands.

Revision: 0007, after: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "stream_offset",
        sa.Column("topic", sa.Text(), nullable=False, comment="The topic"),
        sa.Column(
            "partition",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The topic's partition",
        ),
        sa.Column(
            "next_offset",
            sa.BigInteger(),
            nullable=False,
            comment="Offset after the last message that was loaded or rejected",
        ),
        sa.Column("load_id", sa.BigInteger(), nullable=False, comment="The load that brought it"),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), nullable=False, comment="When that was"
        ),
        sa.PrimaryKeyConstraint("topic", "partition", name=op.f("pk_stream_offset")),
        schema="ops",
        comment="How far each partition of a topic is loaded; written with the rows.",
    )
    op.add_column(
        "reject",
        sa.Column(
            "topic",
            sa.Text(),
            nullable=True,
            comment="Of a message: its topic; null for a row of a file",
        ),
        schema="ops",
    )
    op.add_column(
        "reject",
        sa.Column("partition", sa.Integer(), nullable=True, comment="Of a message: its partition"),
        schema="ops",
    )
    op.add_column(
        "reject",
        sa.Column(
            "message_offset",
            sa.BigInteger(),
            nullable=True,
            comment="Of a message: its offset in the partition",
        ),
        schema="ops",
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.drop_column("reject", "message_offset", schema="ops")
    op.drop_column("reject", "partition", schema="ops")
    op.drop_column("reject", "topic", schema="ops")
    op.drop_table("stream_offset", schema="ops")
