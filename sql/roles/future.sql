-- Lets the two roles at tables that are made later, by the one who runs this.
-- Parameters: none. Run by: migrate, where the roles are there.
ALTER DEFAULT PRIVILEGES IN SCHEMA ops, {warehouse}
    GRANT SELECT ON TABLES TO sluice_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA ops, {warehouse}
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO sluice_app
