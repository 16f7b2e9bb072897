"""Months changed by procedures, so that the service needs no rights of an owner; roles without any.

The roles themselves are made and granted by `app/store/roles.py`, once the schema is at its head.

Revision: 0008, after: 0007
"""

from __future__ import annotations

from alembic import op

from app.store.scripts import Scripts
from migrations.names import schema_names

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Procedures, not functions: what a query selects keeps its snapshot until the next statement, which
# other loads would take for a reader who stays. Each runs with the rights of the owner of the tables, and takes a number and a month alone: no
# name, no statement. The path keeps others' objects from standing in for the server's own.
AS_OWNER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp"

# The columns are written out: LIKE would hold a lock on the warehouse table through the load,
# and two loads that each replace a month would wait for each other's. load_id comes with the
# promotion: it is the same for every row, so a new column's default says it without a byte a row.
# The check costs next to nothing here, and spares attaching a look at every row.
# Whoever may use the whole table may use the month, which this table may become.
STAGE = """
CREATE OR REPLACE PROCEDURE ops.stage_entity(of_load bigint, of_month date)
{as_owner} AS $$
DECLARE
    staged text := format('%I.%I', {staging_name}, 'entity_' || of_load);
    granted record;
BEGIN
    IF isfinite(of_month) IS NOT TRUE OR extract(day FROM of_month) <> 1 THEN
        RAISE EXCEPTION '% is not the first day of a month', of_month;
    END IF;
    EXECUTE format(
        'CREATE TABLE %s (
            created_at timestamp NOT NULL,
            entity_id bigint NOT NULL,
            value bigint NOT NULL,
            CONSTRAINT inside_month CHECK (created_at >= %L AND created_at < %L)
        )',
        staged, of_month, CAST(of_month + interval '1 month' AS date)
    );
    FOR granted IN
        SELECT
            CASE WHEN given.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(role.rolname) END AS whom,
            string_agg(given.privilege_type, ', ') AS privileges
        FROM pg_class AS parent
        CROSS JOIN aclexplode(parent.relacl) AS given
        LEFT JOIN pg_roles AS role ON role.oid = given.grantee
        WHERE parent.oid = CAST('{warehouse}.entity' AS regclass)
            AND given.grantee <> parent.relowner
        GROUP BY whom
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s', granted.privileges, staged, granted.whom);
    END LOOP;
END $$
"""

KEY = """
CREATE OR REPLACE PROCEDURE ops.key_entity(of_load bigint, of_month date)
{as_owner} AS $$
BEGIN
    EXECUTE format(
        'ALTER TABLE %I.%I ADD CONSTRAINT %I PRIMARY KEY (created_at, entity_id)',
        {staging_name}, 'entity_' || of_load, 'pk_entity_' || to_char(of_month, 'YYYY_MM')
    );
END $$
"""

# Readers of other months are not kept waiting: attaching takes a lock that only other changes of
# partitions wait for.
PROMOTE = """
CREATE OR REPLACE PROCEDURE ops.promote_entity(of_load bigint, of_month date)
{as_owner} AS $$
DECLARE
    staged text := format('%I.%I', {staging_name}, 'entity_' || of_load);
    partition text := 'entity_' || to_char(of_month, 'YYYY_MM');
    month text := format('%I.%I', {warehouse_name}, partition);
    described record;
BEGIN
    EXECUTE format('ALTER TABLE %s ADD COLUMN load_id bigint NOT NULL DEFAULT %L', staged, of_load);
    EXECUTE format('ALTER TABLE %s ALTER COLUMN load_id DROP DEFAULT', staged);
    EXECUTE format('ALTER TABLE %s RENAME TO %I', staged, partition);
    EXECUTE format('ALTER TABLE %I.%I SET SCHEMA %I', {staging_name}, partition, {warehouse_name});
    EXECUTE format(
        'ALTER TABLE {warehouse}.entity ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
        month, of_month, CAST(of_month + interval '1 month' AS date)
    );
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT inside_month', month);
    EXECUTE format(
        'COMMENT ON TABLE %s IS %L',
        month, 'The month ' || to_char(of_month, 'YYYY-MM') || ' of entity, as its newest file says.'
    );
    FOR described IN
        SELECT
            attname,
            col_description(attrelid, attnum) AS comment
        FROM pg_attribute
        WHERE attrelid = CAST('{warehouse}.entity' AS regclass)
            AND attnum > 0
            AND NOT attisdropped
    LOOP
        EXECUTE format(
            'COMMENT ON COLUMN %s.%I IS %L', month, described.attname, described.comment
        );
    END LOOP;
END $$
"""

# Waits for readers of the whole table, so the caller sets a short lock timeout.
WITHDRAW = """
CREATE OR REPLACE PROCEDURE ops.withdraw_entity(of_month date)
{as_owner} AS $$
DECLARE
    month text := format('%I.%I', {warehouse_name}, 'entity_' || to_char(of_month, 'YYYY_MM'));
BEGIN
    EXECUTE format('ALTER TABLE {warehouse}.entity DETACH PARTITION %s', month);
    EXECUTE format('DROP TABLE %s', month);
END $$
"""

DROP_STAGED = """
CREATE OR REPLACE PROCEDURE ops.drop_staged_entity(of_load bigint)
{as_owner} AS $$
BEGIN
    EXECUTE format('DROP TABLE %I.%I', {staging_name}, 'entity_' || of_load);
END $$
"""

HAS_OLD_SNAPSHOTS = """
CREATE OR REPLACE FUNCTION ops.has_old_snapshots() RETURNS boolean
{as_owner} AS $$
BEGIN
    RETURN EXISTS (
        SELECT
        FROM pg_stat_activity
        WHERE datname = current_database()
            AND pid <> pg_backend_pid()
            AND (
                backend_xmin IS NOT NULL
                OR state IS NULL
            )
            -- Autovacuum has no role; neither it nor replication reads the month.
            AND usesysid IS NOT NULL
            AND pid NOT IN (
                SELECT pid
                FROM pg_stat_replication
            )
    );
END $$
"""

ROUTINES = {
    "stage_entity(bigint, date)": (STAGE, "Makes the table a month file is copied into"),
    "key_entity(bigint, date)": (KEY, "Gives a staged month the key of a partition"),
    "promote_entity(bigint, date)": (PROMOTE, "Makes a staged month the partition of its month"),
    "withdraw_entity(date)": (WITHDRAW, "Takes the partition of a month away, for its successor"),
    "drop_staged_entity(bigint)": (DROP_STAGED, "Removes a staged month that is not promoted"),
    "has_old_snapshots()": (
        HAS_OLD_SNAPSHOTS,
        "Whether somebody may hold a snapshot across statements; yes where none may be looked into",
    ),
}


def upgrade() -> None:
    names = schema_names()
    op.execute("SET LOCAL lock_timeout = '10s'")
    words = {
        "as_owner": AS_OWNER,
        "warehouse": f'"{names.warehouse}"',
        "warehouse_name": f"'{names.warehouse}'",
        "staging_name": f"'{names.staging}'",
    }
    for signature, (definition, comment) in ROUTINES.items():
        op.get_bind().exec_driver_sql(definition.format(**words))
        op.execute(f"COMMENT ON ROUTINE ops.{signature} IS '{comment}'")
        op.execute(f"REVOKE EXECUTE ON ROUTINE ops.{signature} FROM PUBLIC")


def downgrade() -> None:
    names = schema_names()
    op.execute("SET LOCAL lock_timeout = '10s'")
    for signature in ROUTINES:
        op.execute(f"DROP ROUTINE ops.{signature}")
    scripts = Scripts({"staging": names.staging, "warehouse": names.warehouse})
    op.execute(scripts.statement("roles/withdraw"))
