"""Ledger: loads, rejects, refreshes.

Revision: 0001, after: None
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute("COMMENT ON TABLE ops.alembic_version IS 'The revision of the schema, for Alembic.'")
    op.execute("COMMENT ON COLUMN ops.alembic_version.version_num IS 'The newest migration run'")
    op.create_table(
        "load",
        sa.Column(
            "load_id",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Identifies the load everywhere",
        ),
        sa.Column(
            "pipeline",
            sa.Text(),
            nullable=True,
            comment="The feed's pipeline; null when the file fits none",
        ),
        sa.Column(
            "scope",
            sa.Text(),
            nullable=True,
            comment="What the file replaces, for entity its month YYYY-MM; else null",
        ),
        sa.Column(
            "file_name", sa.Text(), nullable=False, comment="Name of the file as it was dropped"
        ),
        sa.Column(
            "folder",
            sa.Text(),
            nullable=True,
            comment="Feed folder below imports/ the file was dropped into; null at the top",
        ),
        sa.Column(
            "file_bytes", sa.BigInteger(), nullable=False, comment="Size as stored, in bytes"
        ),
        sa.Column(
            "sha256", sa.Text(), nullable=False, comment="SHA-256 of the bytes as stored, in hex"
        ),
        sa.Column(
            "discovered_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the file was seen",
        ),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), nullable=False, comment="When this load began"
        ),
        sa.Column(
            "finished_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it ended; null while running",
        ),
        sa.Column(
            "status",
            sa.Text(),
            nullable=False,
            comment="running, loaded, duplicate, quarantined or failed",
        ),
        sa.Column(
            "rows_read",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Data rows in the file, rejected ones included",
        ),
        sa.Column(
            "rows_inserted",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Rows new to the warehouse",
        ),
        sa.Column(
            "rows_updated",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Rows whose values changed",
        ),
        sa.Column(
            "rows_unchanged",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Rows the warehouse had already, or newer",
        ),
        sa.Column(
            "rows_deleted",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Warehouse rows removed; not part of rows_read",
        ),
        sa.Column(
            "rows_rejected",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Rows not loaded because they break a rule; all rows of a quarantined file",
        ),
        sa.Column(
            "rows_duplicate",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Rows that stand again elsewhere in the file",
        ),
        sa.Column("error", sa.Text(), nullable=True, comment="What went wrong, for people"),
        sa.Column(
            "fault",
            postgresql.JSONB(none_as_null=True),
            nullable=True,
            comment="Parts of a quarantined file's error: found, expected, what_to_do, line_number",
        ),
        sa.Column("worker", sa.Text(), nullable=True, comment="host:pid that ran the load"),
        sa.Column(
            "attempt",
            sa.Integer(),
            server_default=sa.text("1"),
            nullable=False,
            comment="How often this load was begun",
        ),
        sa.Column(
            "filed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the file had left imports/; null until then",
        ),
        sa.Column(
            "filed_path",
            sa.Text(),
            nullable=True,
            comment="Where the file is kept; null when it was deleted",
        ),
        sa.CheckConstraint(
            "status IN ('running', 'loaded', 'duplicate', 'quarantined', 'failed')",
            name=op.f("ck_load_status"),
        ),
        sa.CheckConstraint(
            "rows_read = rows_inserted + rows_updated + rows_unchanged + rows_rejected + rows_duplicate",
            name=op.f("ck_load_rows_add_up"),
        ),
        sa.PrimaryKeyConstraint("load_id", name=op.f("pk_load")),
        schema="ops",
        comment="The ledger: one line per load, never deleted.",
    )
    op.create_index(
        "ix_load_latest",
        "load",
        ["pipeline", "scope", "finished_at"],
        unique=False,
        schema="ops",
        postgresql_where=sa.text("status = 'loaded'"),
    )
    op.create_index(
        "ix_load_unfiled",
        "load",
        ["load_id"],
        unique=False,
        schema="ops",
        postgresql_where=sa.text("filed_at IS NULL"),
    )
    op.create_index("ix_load_sha256", "load", ["sha256"], unique=False, schema="ops")
    op.create_index(
        "ix_load_file",
        "load",
        ["file_name", "folder", sa.literal_column("load_id DESC")],
        unique=False,
        schema="ops",
    )
    op.create_table(
        "refresh",
        sa.Column(
            "refresh_id",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Identifies the run, in commit order",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="The derived table"),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), nullable=False, comment="When the run began"
        ),
        sa.Column(
            "finished_at", sa.DateTime(timezone=True), nullable=False, comment="When it ended"
        ),
        sa.Column(
            "rows_changed",
            sa.BigInteger(),
            nullable=False,
            comment="Rows added, changed or removed in the derived table",
        ),
        sa.Column(
            "covered_load_id",
            sa.BigInteger(),
            nullable=True,
            comment="Newest load whose rows are covered",
        ),
        sa.PrimaryKeyConstraint("refresh_id", name=op.f("pk_refresh")),
        schema="ops",
        comment="Runs of refresh that had something to do.",
    )
    op.create_index(
        "ix_refresh_name", "refresh", ["name", "refresh_id"], unique=False, schema="ops"
    )
    op.create_table(
        "touched_day",
        sa.Column("pipeline", sa.Text(), nullable=False, comment="Feed of the day's rows"),
        sa.Column("day", sa.Date(), nullable=False, comment="The calendar day"),
        sa.Column("load_id", sa.BigInteger(), nullable=False, comment="The load that changed it"),
        sa.PrimaryKeyConstraint("pipeline", "day", "load_id", name=op.f("pk_touched_day")),
        schema="ops",
        comment="Days that loads changed since the last refresh.",
    )
    op.create_table(
        "view_definition",
        sa.Column("name", sa.Text(), nullable=False, comment="The script's name"),
        sa.Column(
            "sha256", sa.Text(), nullable=False, comment="SHA-256 of the script's text, in hex"
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_view_definition")),
        schema="ops",
        comment="Views as last created from sql/views/, to see what changed.",
    )
    op.create_table(
        "changed_day",
        sa.Column("name", sa.Text(), nullable=False, comment="The derived table"),
        sa.Column("day", sa.Date(), nullable=False, comment="The calendar day"),
        sa.Column(
            "refresh_id", sa.BigInteger(), nullable=False, comment="The refresh that changed it"
        ),
        sa.ForeignKeyConstraint(
            ["refresh_id"],
            ["ops.refresh.refresh_id"],
            name=op.f("fk_changed_day_refresh_id_refresh"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", "day", "refresh_id", name=op.f("pk_changed_day")),
        schema="ops",
        comment="Days whose derived rows changed, by refresh.",
    )
    op.create_index(
        "ix_changed_day_refresh_id", "changed_day", ["refresh_id"], unique=False, schema="ops"
    )
    op.create_table(
        "reject",
        sa.Column(
            "load_id", sa.BigInteger(), nullable=False, comment="The load that rejected the row"
        ),
        sa.Column(
            "line_number",
            sa.BigInteger(),
            nullable=False,
            comment="Physical line of the file, the header is line 1",
        ),
        sa.Column(
            "column_name",
            sa.Text(),
            nullable=True,
            comment="Column at fault; null when the row as a whole is",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why the row was not loaded"),
        sa.Column("raw", sa.Text(), nullable=False, comment="The row as it stands in the file"),
        sa.ForeignKeyConstraint(
            ["load_id"],
            ["ops.load.load_id"],
            name=op.f("fk_reject_load_id_load"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("load_id", "line_number", name=op.f("pk_reject")),
        schema="ops",
        comment="Rows that were not loaded, with the reason for each.",
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute("DROP VIEW IF EXISTS ops.file_status")
    op.drop_table("reject", schema="ops")
    op.drop_index("ix_changed_day_refresh_id", table_name="changed_day", schema="ops")
    op.drop_table("changed_day", schema="ops")
    op.drop_table("view_definition", schema="ops")
    op.drop_table("touched_day", schema="ops")
    op.drop_index("ix_refresh_name", table_name="refresh", schema="ops")
    op.drop_table("refresh", schema="ops")
    op.drop_index("ix_load_file", table_name="load", schema="ops")
    op.drop_index("ix_load_sha256", table_name="load", schema="ops")
    op.drop_index(
        "ix_load_unfiled",
        table_name="load",
        schema="ops",
        postgresql_where=sa.text("filed_at IS NULL"),
    )
    op.drop_index("ix_load_latest", table_name="load", schema="ops")
    op.drop_table("load", schema="ops")
