"""Job titles and related terms.

Revision: 0004, after: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.names import schema_names

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    names = schema_names()
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "job_titles",
        sa.Column(
            "line_number", sa.BigInteger(), nullable=False, comment="Physical line of the file"
        ),
        sa.Column("title", sa.Text(), nullable=False, comment="Title, trimmed and lower-cased"),
        sa.Column("pdl_count", sa.BigInteger(), nullable=False, comment="People with the title"),
        sa.Column(
            "related",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="Related terms in the file's order",
        ),
        schema=names.staging,
        comment="Rows of the job titles load under way; empty between loads.",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "job_title",
        sa.Column(
            "title",
            sa.Text(),
            nullable=False,
            comment="Title: trimmed, lower-cased, white space collapsed",
        ),
        sa.Column("pdl_count", sa.BigInteger(), nullable=False, comment="People with the title"),
        sa.Column(
            "load_id", sa.BigInteger(), nullable=False, comment="Load that last changed the title"
        ),
        sa.PrimaryKeyConstraint("title", name=op.f("pk_job_title")),
        schema=names.warehouse,
        comment="Job titles, as the newest file naming them says.",
    )
    op.create_table(
        "related_title",
        sa.Column("title", sa.Text(), nullable=False, comment="The job title"),
        sa.Column(
            "rank", sa.Integer(), autoincrement=False, nullable=False, comment="Position, from 1"
        ),
        sa.Column("related_title", sa.Text(), nullable=False, comment="The related term"),
        sa.ForeignKeyConstraint(
            ["title"],
            [f"{names.warehouse}.job_title.title"],
            name=op.f("fk_related_title_title_job_title"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("title", "rank", name=op.f("pk_related_title")),
        schema=names.warehouse,
        comment="Terms related to a job title, best first.",
    )


def downgrade() -> None:
    names = schema_names()
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.drop_table("related_title", schema=names.warehouse)
    op.drop_table("job_title", schema=names.warehouse)
    op.drop_table("job_titles", schema=names.staging)
