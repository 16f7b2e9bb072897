-- Gives a role its password, as what the server itself keeps of one.
-- Takes no bound values, so role and verifier come by way of settings of the transaction.
-- Parameters: none. Run by: migrate.
DO $$
BEGIN
    EXECUTE format(
        'ALTER ROLE %I PASSWORD %L',
        current_setting('sluice.role'),
        current_setting('sluice.verifier')
    );
END $$
