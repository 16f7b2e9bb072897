-- The load of a feed that was begun last of those at work.
-- Grain: one row, or none. Parameters: pipeline. Run by: features.
SELECT
    load_id,
    file_name,
    started_at AT TIME ZONE 'UTC' AS started_at
FROM ops.load
WHERE pipeline = :pipeline
    AND status = 'running'
ORDER BY load_id DESC
LIMIT 1
