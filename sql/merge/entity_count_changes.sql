-- Counts the changes by kind and names their days.
-- Grain: one row. Run by: the load, after entity_changes.sql.
SELECT
    count(*) FILTER (WHERE is_new) AS rows_inserted,
    count(*) FILTER (WHERE NOT is_new AND value IS NOT NULL) AS rows_updated,
    count(*) FILTER (WHERE value IS NULL) AS rows_deleted,
    coalesce(
        array_agg(DISTINCT CAST(created_at AS date)),
        CAST(ARRAY[] AS date[])
    ) AS days
FROM entity_change
