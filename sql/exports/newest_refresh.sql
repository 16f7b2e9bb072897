-- Which database this is, and the newest refresh of any derived table, null before the first.
-- Grain: one row. Parameters: none. Run by: export.
SELECT
    concat(system.system_identifier, '/', own.oid) AS database,
    refreshed.refresh_id,
    refreshed.finished_at
FROM pg_control_system() AS system
CROSS JOIN pg_database AS own
LEFT JOIN LATERAL (
    SELECT
        refresh_id,
        finished_at
    FROM ops.refresh
    ORDER BY refresh_id DESC
    LIMIT 1
) AS refreshed ON TRUE
WHERE own.datname = current_database()
