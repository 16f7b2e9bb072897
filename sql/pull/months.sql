-- Gives each month's fingerprint; equal on two sides when the same rows are there.
-- Grain: one row per month that has rows. A row's hash is that of its text, so DateStyle has to be
-- ISO; a sum does not depend on the rows' order, and counts a row that stands twice twice.
-- Names: place. Parameters: first, beyond. Run by: pull, on the source and on the warehouse.
SELECT
    CAST(date_trunc('month', created_at) AS date) AS month,
    count(*) AS row_count,
    sum(
        hashtextextended(
            (created_at || ' ' || entity_id || ' ' || value) COLLATE "C",
            0
        )
    ) AS row_hash
FROM {place}.entity
WHERE created_at >= CAST(:first AS timestamp)
    AND created_at < CAST(:beyond AS timestamp)
    AND entity_id IS NOT NULL
    AND value IS NOT NULL
GROUP BY CAST(date_trunc('month', created_at) AS date)
