-- How many applications have values of two versions, and of both.
-- Grain: one row. Parameters: first_version, second_version. Run by: features.comparison.
SELECT
    count(first.application_id) AS rows_first,
    count(second.application_id) AS rows_second,
    count(*) FILTER (
        WHERE first.application_id IS NOT NULL
            AND second.application_id IS NOT NULL
    ) AS rows_both
FROM (
    SELECT application_id
    FROM {warehouse}.risk_score_feature
    WHERE version = :first_version
) AS first
FULL JOIN (
    SELECT application_id
    FROM {warehouse}.risk_score_feature
    WHERE version = :second_version
) AS second
    ON second.application_id = first.application_id
