-- Version 0: ma50 is the mean of the last 50 scores, the row's own included.
-- Null scores are skipped: a row without one shows the mean before it, null while there is none.
-- Sums are exact; the mean is rounded half up to 6 decimals.
-- Grain: application_id, in its order. Parameters: first_id, last_id. Run by: features.values.
WITH scores AS (
    (
        SELECT
            application_id,
            risk_score
        FROM {warehouse}.risk_score
        WHERE application_id < :first_id
            AND risk_score IS NOT NULL
        ORDER BY application_id DESC
        -- One more than a row with a score needs, as the first row may be one without.
        LIMIT 50
    )
    UNION ALL
    SELECT
        application_id,
        risk_score
    FROM {warehouse}.risk_score
    WHERE application_id BETWEEN :first_id AND :last_id
),
counted AS (
    SELECT
        application_id,
        risk_score,
        count(risk_score) OVER (ORDER BY application_id) AS rank
    FROM scores
),
means AS (
    SELECT
        application_id,
        -- Rows without a score have the rank of the score before them, so its frame is theirs.
        round(avg(risk_score) OVER (ORDER BY rank RANGE 49 PRECEDING), 6) AS ma50
    FROM counted
)
SELECT
    application_id,
    ma50,
    CAST(NULL AS numeric) AS ma100,
    CAST(NULL AS numeric) AS carried
FROM means
WHERE application_id >= :first_id
