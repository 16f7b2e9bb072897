-- Says of each derived table when it was last refreshed and what waits for the next refresh.
-- Grain: one row per derived table. Parameters: names, pipelines (of the derived tables, side
-- by side). Run by: `status`.
WITH derived AS (
    SELECT
        name,
        pipeline
    FROM unnest(CAST(:names AS text[]), CAST(:pipelines AS text[])) AS given (name, pipeline)
),
last_refresh AS (
    SELECT DISTINCT ON (name)
        name,
        finished_at,
        rows_changed,
        covered_load_id
    FROM ops.refresh
    ORDER BY
        name,
        refresh_id DESC
)
SELECT
    derived.name,
    last_refresh.finished_at AS refreshed_at,
    last_refresh.rows_changed,
    last_refresh.covered_load_id,
    (
        SELECT count(DISTINCT touched_day.day)
        FROM ops.touched_day
        WHERE touched_day.pipeline = derived.pipeline
    ) AS days_waiting
FROM derived
LEFT JOIN last_refresh
    ON last_refresh.name = derived.name
ORDER BY derived.name
