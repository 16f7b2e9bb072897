-- Describes the source's table, wherever the search path finds it.
-- Grain: one row per column that is wanted and there; none where there is no table.
-- Run by: pull, on the source.
SELECT
    namespace.nspname AS place,
    attribute.attname AS name,
    format_type(attribute.atttypid, NULL) AS type
FROM pg_class AS source
JOIN pg_namespace AS namespace
    ON namespace.oid = source.relnamespace
LEFT JOIN pg_attribute AS attribute
    ON attribute.attrelid = source.oid
    AND attribute.attnum > 0
    AND NOT attribute.attisdropped
    AND attribute.attname IN ('entity_id', 'created_at', 'value')
WHERE source.oid = to_regclass('entity')
