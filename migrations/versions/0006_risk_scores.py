"""Risk scores and their versioned features.

Revision: 0006, after: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.names import schema_names
from migrations.views import drop_views

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None

# The recursion of version 2. Numbers of a fixed scale, rounded at every step, so that any other
# exact computation gives the same digits. Strict: a null score leaves the state as it is, and the
# first score becomes the state.
EXPONENTIAL_STEP = """
CREATE OR REPLACE FUNCTION "{schema}".exponential_step(state numeric, score numeric, span integer)
RETURNS numeric
LANGUAGE plpgsql
IMMUTABLE STRICT PARALLEL SAFE
AS $$
BEGIN
    RETURN round((2 * score + (span - 1) * state) / (span + 1), 20);
END
$$
"""
EXPONENTIAL_MEAN = """
CREATE OR REPLACE AGGREGATE "{schema}".exponential_mean(score numeric, span integer) (
    SFUNC = "{schema}".exponential_step,
    STYPE = numeric
)
"""
COMMENTS = """
COMMENT ON FUNCTION "{schema}".exponential_step(numeric, numeric, integer) IS
'Next state of the exponential mean: (2 * score + (span - 1) * state) / (span + 1), to 20 decimals';
COMMENT ON AGGREGATE "{schema}".exponential_mean(numeric, integer) IS
'Exponential mean of the scores in their order, not adjusted; the first one seeds it'
"""


def upgrade() -> None:
    names = schema_names()
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "risk_scores",
        sa.Column(
            "line_number", sa.BigInteger(), nullable=False, comment="Physical line of the file"
        ),
        sa.Column("amount_requested", sa.Numeric(), nullable=False, comment="Amount asked for"),
        sa.Column("application_date", sa.Date(), nullable=False, comment="Day of the application"),
        sa.Column("loan_title", sa.Text(), nullable=True, comment="Title the applicant gave"),
        sa.Column("risk_score", sa.Numeric(), nullable=True, comment="Score, if there is one"),
        sa.Column(
            "debt_to_income", sa.Numeric(), nullable=True, comment="Debt-to-income ratio in percent"
        ),
        sa.Column("zip_code", sa.Text(), nullable=True, comment="Zip code, its end masked"),
        sa.Column("state", sa.Text(), nullable=True, comment="State of the applicant"),
        sa.Column("employment_length", sa.Text(), nullable=True, comment="Employment, in words"),
        sa.Column("policy_code", sa.BigInteger(), nullable=True, comment="The lender's policy"),
        schema=names.staging,
        comment="Rows of the risk scores load under way; empty between loads.",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "feature_version",
        sa.Column(
            "version",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="Number of the version, from 0",
        ),
        sa.Column(
            "features",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="Columns the version has",
        ),
        sa.Column(
            "definition", sa.Text(), nullable=False, comment="The query that gives its values"
        ),
        sa.Column(
            "definition_hash",
            sa.Text(),
            nullable=False,
            comment="SHA-256 of the definition's text, in hex",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When it was registered",
        ),
        sa.Column(
            "activated_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it last became the active version; from then on its definition is fixed",
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_feature_version")),
        schema=names.warehouse,
        comment="Versions of the risk-score features; the one activated last is active.",
    )
    op.create_table(
        "risk_score",
        sa.Column(
            "application_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Place of the file, which is its first load_id, times 2^32, plus the row's rank",
        ),
        sa.Column("amount_requested", sa.Numeric(), nullable=False, comment="Amount asked for"),
        sa.Column("application_date", sa.Date(), nullable=False, comment="Day of the application"),
        sa.Column(
            "loan_title",
            sa.Text(),
            nullable=True,
            comment="Title the applicant gave; null when empty",
        ),
        sa.Column(
            "risk_score",
            sa.Numeric(),
            nullable=True,
            comment="Score; null when the file has none, and 0 is a score",
        ),
        sa.Column(
            "debt_to_income",
            sa.Numeric(),
            nullable=True,
            comment="Debt-to-income ratio in percent, as written; may be negative",
        ),
        sa.Column("zip_code", sa.Text(), nullable=True, comment="Zip code, its end masked"),
        sa.Column("state", sa.Text(), nullable=True, comment="State of the applicant"),
        sa.Column(
            "employment_length", sa.Text(), nullable=True, comment="Length of employment, in words"
        ),
        sa.Column("policy_code", sa.SmallInteger(), nullable=True, comment="The lender's policy"),
        sa.Column(
            "load_id", sa.BigInteger(), nullable=False, comment="Load that last changed the row"
        ),
        sa.CheckConstraint("amount_requested >= 0", name=op.f("ck_risk_score_amount_not_negative")),
        sa.CheckConstraint("risk_score >= 0", name=op.f("ck_risk_score_score_not_negative")),
        sa.PrimaryKeyConstraint("application_id", name=op.f("pk_risk_score")),
        schema=names.warehouse,
        comment="Declined applications in the order of their loads; within a file by application date, then line.",
    )
    op.create_index(
        "ix_risk_score_scored",
        "risk_score",
        ["application_id"],
        unique=False,
        schema=names.warehouse,
        postgresql_where=sa.text("risk_score IS NOT NULL"),
    )
    op.create_table(
        "risk_score_feature",
        sa.Column(
            "version",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="Version of the features",
        ),
        sa.Column(
            "application_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="The application",
        ),
        sa.Column(
            "ma50",
            sa.Numeric(),
            nullable=True,
            comment="Mean of the scores before, as the version defines it; 6 decimals",
        ),
        sa.Column(
            "ma100",
            sa.Numeric(),
            nullable=True,
            comment="Mean of the last 100 scores; null in versions without it",
        ),
        sa.Column(
            "carried",
            sa.Numeric(),
            nullable=True,
            comment="What the next value goes on from: the exponential mean to 20 decimals",
        ),
        sa.Column(
            "modified_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the values were computed or last changed",
        ),
        sa.PrimaryKeyConstraint("version", "application_id", name=op.f("pk_risk_score_feature")),
        schema=names.warehouse,
        comment="Values of the risk-score features by version and application.",
        postgresql_partition_by="LIST (version)",
    )
    op.create_table(
        "feature_activation",
        sa.Column(
            "activation_id",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Identifies the activation, in order",
        ),
        sa.Column(
            "version", sa.Integer(), nullable=False, comment="The version that became active"
        ),
        sa.Column(
            "activated_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When it became active",
        ),
        sa.Column(
            "withdrawn_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When a rollback took it back; null while it stands",
        ),
        sa.ForeignKeyConstraint(
            ["version"],
            [f"{names.warehouse}.feature_version.version"],
            name=op.f("fk_feature_activation_version_feature_version"),
        ),
        sa.PrimaryKeyConstraint("activation_id", name=op.f("pk_feature_activation")),
        schema=names.warehouse,
        comment="Activations of feature versions, in their order.",
    )
    for statement in (EXPONENTIAL_STEP, EXPONENTIAL_MEAN, *COMMENTS.split(";\n")):
        op.execute(statement.format(schema=names.warehouse))


def downgrade() -> None:
    names = schema_names()
    op.execute("SET LOCAL lock_timeout = '10s'")
    drop_views("risk_score_current", "risk_score_v0", "risk_score_v1", "risk_score_v2")
    op.execute(f'DROP AGGREGATE "{names.warehouse}".exponential_mean(numeric, integer)')
    op.execute(f'DROP FUNCTION "{names.warehouse}".exponential_step(numeric, numeric, integer)')
    op.drop_table("feature_activation", schema=names.warehouse)
    op.drop_table("risk_score_feature", schema=names.warehouse)
    op.drop_index(
        "ix_risk_score_scored",
        table_name="risk_score",
        schema=names.warehouse,
        postgresql_where=sa.text("risk_score IS NOT NULL"),
    )
    op.drop_table("risk_score", schema=names.warehouse)
    op.drop_table("feature_version", schema=names.warehouse)
    op.drop_table("risk_scores", schema=names.staging)
