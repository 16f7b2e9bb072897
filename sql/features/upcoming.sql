-- The next rows after one, and how many of them have a score.
-- Grain: one row, of nulls at the end. Parameters: after_id, rows. Run by: features.values.
SELECT
    min(application_id) AS first_id,
    max(application_id) AS last_id,
    count(risk_score) AS scores
FROM (
    SELECT
        application_id,
        risk_score
    FROM {warehouse}.risk_score
    WHERE application_id > :after_id
    ORDER BY application_id
    LIMIT :rows
) AS upcoming
