-- The next rows of a backfill, in their order, and how many of them have values already.
-- Grain: one row, of nulls at the end. Parameters: after_id, rows, version.
-- Run by: features.backfill.
WITH chunk AS (
    SELECT
        min(application_id) AS first_id,
        max(application_id) AS last_id,
        count(*) AS rows
    FROM (
        SELECT application_id
        FROM {warehouse}.risk_score
        WHERE application_id > :after_id
        ORDER BY application_id
        LIMIT :rows
    ) AS upcoming
)
SELECT
    first_id,
    last_id,
    rows,
    (
        SELECT count(*)
        FROM {warehouse}.risk_score_feature AS feature
        WHERE feature.version = :version
            AND feature.application_id BETWEEN chunk.first_id AND chunk.last_id
    ) AS rows_with_values
FROM chunk
