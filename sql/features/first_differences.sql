-- The first values that differ between two versions, in the order of the applications.
-- Grain: application and feature. Parameters: first_version, second_version, features (the names to
-- compare), rows. Run by: features.comparison.
SELECT
    first.application_id,
    risk_score.application_date,
    feature.name AS feature,
    feature.first_value,
    feature.second_value
FROM {warehouse}.risk_score_feature AS first
INNER JOIN {warehouse}.risk_score_feature AS second
    ON second.application_id = first.application_id
INNER JOIN {warehouse}.risk_score
    ON risk_score.application_id = first.application_id
CROSS JOIN LATERAL (
    VALUES
        (1, 'ma50', first.ma50, second.ma50),
        (2, 'ma100', first.ma100, second.ma100)
) AS feature (place, name, first_value, second_value)
WHERE first.version = :first_version
    AND second.version = :second_version
    AND feature.name = ANY(CAST(:features AS text[]))
    AND feature.first_value IS DISTINCT FROM feature.second_value
ORDER BY
    first.application_id,
    feature.place
LIMIT :rows
