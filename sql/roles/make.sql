-- Makes the two roles where they are missing. Roles belong to the whole server, so another database
-- of it may have made them, or be about to: then this waits for that one and leaves them as they
-- are. Where the one who runs it may make no roles, nothing happens. They log in with a password
-- only once they were given one.
-- What a reader forgets must not hold up loads: a role's own settings count for its own logins.
-- Parameters: none. Run by: migrate.
DO $$
BEGIN
    BEGIN
        IF to_regrole('sluice_app') IS NULL THEN
            CREATE ROLE sluice_app LOGIN;
            COMMENT ON ROLE sluice_app IS 'The service of Sluice: reads and writes rows.';
        END IF;
    EXCEPTION
        WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
    END;
    BEGIN
        IF to_regrole('sluice_reader') IS NULL THEN
            CREATE ROLE sluice_reader LOGIN;
            COMMENT ON ROLE sluice_reader IS 'Who looks at the tables of Sluice: reads only.';
            ALTER ROLE sluice_reader SET default_transaction_read_only = on;
            ALTER ROLE sluice_reader SET statement_timeout = '2min';
            ALTER ROLE sluice_reader SET idle_in_transaction_session_timeout = '10min';
        END IF;
    EXCEPTION
        WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
    END;
END $$
