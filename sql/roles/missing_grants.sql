-- What the two roles still lack in this database, as statements that give it to them.
-- Views are read only, and so is what only migrations write. Whoever runs this can give what it
-- owns, so the tables of others are left out.
-- Grain: role and object. Parameters: staging, warehouse: names of the schemas. Run by: migrate.
WITH role AS (
    SELECT
        oid,
        rolname AS name,
        rolname = 'sluice_reader' AS is_reader
    FROM pg_roles
    WHERE rolname IN ('sluice_app', 'sluice_reader')
),
schema AS (
    SELECT
        oid,
        nspname AS name,
        nspname = CAST(:staging AS name) AS is_staging
    FROM pg_namespace
    WHERE nspname IN ('ops', CAST(:staging AS name), CAST(:warehouse AS name))
),
wanted_of_database AS (
    SELECT
        role.name AS role,
        format('DATABASE %I', current_database()) AS object,
        privilege
    FROM role
    CROSS JOIN unnest(ARRAY['CONNECT', 'TEMPORARY']) AS privilege
    WHERE NOT (is_reader AND privilege = 'TEMPORARY')
        AND NOT has_database_privilege(role.oid, current_database(), privilege)
),
wanted_of_schema AS (
    SELECT
        role.name AS role,
        format('SCHEMA %I', schema.name) AS object,
        'USAGE' AS privilege
    FROM role
    CROSS JOIN schema
    WHERE NOT (is_reader AND is_staging)
        AND NOT has_schema_privilege(role.oid, schema.oid, 'USAGE')
),
wanted_of_table AS (
    SELECT
        role.name AS role,
        format('TABLE %I.%I', schema.name, relation.relname) AS object,
        privilege
    FROM role
    CROSS JOIN schema
    JOIN pg_class AS relation ON relation.relnamespace = schema.oid
    CROSS JOIN unnest(
        CASE
            WHEN is_reader
                OR relation.relkind NOT IN ('r', 'p')
                OR relation.relname IN ('alembic_version', 'view_definition')
                THEN ARRAY['SELECT']
            WHEN is_staging
                THEN ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'MAINTAIN']
            ELSE ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']
        END
    ) AS privilege
    WHERE NOT (is_reader AND is_staging)
        AND relation.relkind IN ('r', 'p', 'v', 'm')
        AND pg_has_role(relation.relowner, 'USAGE')
        AND NOT has_table_privilege(role.oid, relation.oid, privilege)
),
wanted_of_routine AS (
    SELECT
        role.name AS role,
        format('ROUTINE %s', CAST(routine.oid AS regprocedure)) AS object,
        'EXECUTE' AS privilege
    FROM role
    CROSS JOIN schema
    JOIN pg_proc AS routine ON routine.pronamespace = schema.oid
    WHERE NOT is_reader
        AND routine.prosecdef
        AND pg_has_role(routine.proowner, 'USAGE')
        AND NOT has_function_privilege(role.oid, routine.oid, 'EXECUTE')
),
wanted AS (
    SELECT * FROM wanted_of_database
    UNION ALL
    SELECT * FROM wanted_of_schema
    UNION ALL
    SELECT * FROM wanted_of_table
    UNION ALL
    SELECT * FROM wanted_of_routine
)
SELECT format('GRANT %s ON %s TO %I', string_agg(privilege, ', '), object, role) AS statement
FROM wanted
GROUP BY
    object,
    role
ORDER BY
    object,
    role
