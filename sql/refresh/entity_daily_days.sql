-- Every day that a full refresh of entity_daily has to look at.
-- Grain: day. Parameters: none. Run by: refresh --full.
-- Jumps from day to day along the key instead of reading every row.
WITH RECURSIVE source_day AS (
    SELECT CAST(min(created_at) AS date) AS day
    FROM {warehouse}.entity
    UNION ALL
    SELECT (
        SELECT CAST(min(created_at) AS date)
        FROM {warehouse}.entity
        WHERE created_at >= source_day.day + 1
    )
    FROM source_day
    WHERE source_day.day IS NOT NULL
)
SELECT day
FROM source_day
WHERE day IS NOT NULL
UNION
SELECT day
FROM {warehouse}.entity_daily
ORDER BY day
