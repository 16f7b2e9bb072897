-- Takes from the two roles what they have in this database, and drops them where that was all:
-- another database of the server, a session, a member or a grant by hand keeps a role.
-- Parameters: none. Run by: the migration that made them, on its way down.
DO $$
DECLARE
    role name;
BEGIN
    FOR role IN
        SELECT rolname
        FROM pg_roles
        WHERE rolname IN ('sluice_app', 'sluice_reader')
    LOOP
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA ops, {warehouse} REVOKE ALL ON TABLES FROM %I', role);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA ops, {staging}, {warehouse} FROM %I', role);
        EXECUTE format('REVOKE ALL ON SCHEMA ops, {staging}, {warehouse} FROM %I', role);
        EXECUTE format('REVOKE ALL ON DATABASE %I FROM %I', current_database(), role);
        CONTINUE WHEN EXISTS (SELECT FROM pg_stat_activity WHERE usename = role)
            OR EXISTS (
                SELECT
                FROM pg_auth_members
                WHERE roleid = to_regrole(quote_ident(role))
                    AND member <> to_regrole(quote_ident(current_user))
            );
        BEGIN
            -- Another database that is granting to the role just now needs it.
            SET LOCAL lock_timeout = '1s';
            EXECUTE format('DROP ROLE %I', role);
        EXCEPTION
            WHEN dependent_objects_still_exist OR insufficient_privilege OR lock_not_available THEN NULL;
        END;
    END LOOP;
END $$
