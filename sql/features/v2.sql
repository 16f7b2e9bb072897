-- Version 2: ma50 is the exponential mean with span 50 (alpha = 2/51, not adjusted, the first
-- score seeds it); ma100 as in version 1.
-- The state is state = round((2 * score + 49 * state) / 51, 20), half up, and is carried on; ma50
-- is the state rounded half up to 6 decimals. Null scores are skipped: a row without one shows the
-- values before it, null while there are none.
-- The state before the range is the last one this version has, carried over the scores since.
-- Grain: application_id, in its order. Parameters: first_id, last_id. Run by: features.values.
WITH last_state AS (
    SELECT
        application_id,
        carried
    FROM {warehouse}.risk_score_feature
    WHERE version = 2
        AND application_id < :first_id
        AND carried IS NOT NULL
    ORDER BY application_id DESC
    LIMIT 1
),
before_range AS (
    SELECT
        application_id,
        carried AS score
    FROM last_state
    UNION ALL
    SELECT
        application_id,
        risk_score
    FROM {warehouse}.risk_score
    WHERE application_id > coalesce((SELECT application_id FROM last_state), 0)
        AND application_id < :first_id
        AND risk_score IS NOT NULL
),
scores AS (
    (
        SELECT
            application_id,
            risk_score,
            CAST(NULL AS numeric) AS fed
        FROM {warehouse}.risk_score
        WHERE application_id < :first_id
            AND risk_score IS NOT NULL
        ORDER BY application_id DESC
        -- One more than a row with a score needs, as the first row may be one without.
        LIMIT 100
    )
    UNION ALL
    -- As the first value seeds the exponential mean, the state goes before the range as one.
    SELECT
        :first_id - 1,
        NULL,
        {warehouse}.exponential_mean(score, 50 ORDER BY application_id)
    FROM before_range
    UNION ALL
    SELECT
        application_id,
        risk_score,
        risk_score
    FROM {warehouse}.risk_score
    WHERE application_id BETWEEN :first_id AND :last_id
),
counted AS (
    SELECT
        application_id,
        risk_score,
        count(risk_score) OVER (ORDER BY application_id) AS rank,
        {warehouse}.exponential_mean(fed, 50) OVER (ORDER BY application_id) AS carried
    FROM scores
),
means AS (
    SELECT
        application_id,
        carried,
        -- Rows without a score have the rank of the score before them, so its frame is theirs.
        round(avg(risk_score) OVER (ORDER BY rank RANGE 99 PRECEDING), 6) AS ma100
    FROM counted
)
SELECT
    application_id,
    round(carried, 6) AS ma50,
    ma100,
    carried
FROM means
WHERE application_id >= :first_id
