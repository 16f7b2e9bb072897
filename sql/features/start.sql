-- Where a backfill starts, and how many rows there are from there on; null and 0 for none.
-- Grain: one row. Parameters: from_day, null for all rows. Run by: features.backfill.
WITH start AS (
    SELECT min(application_id) AS first_id
    FROM {warehouse}.risk_score
    WHERE CAST(:from_day AS date) IS NULL
        OR application_date >= :from_day
)
SELECT
    start.first_id,
    (
        SELECT count(*)
        FROM {warehouse}.risk_score
        WHERE application_id >= start.first_id
    ) AS rows
FROM start
