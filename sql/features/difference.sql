-- How far the values of two versions lie apart, over the rows that have values of both.
-- Grain: feature. Parameters: first_version, second_version, features (the names to compare).
-- Run by: features.comparison.
SELECT
    feature.name AS feature,
    count(*) FILTER (
        WHERE feature.first_value IS DISTINCT FROM feature.second_value
    ) AS rows_differing,
    max(abs(feature.second_value - feature.first_value)) AS largest,
    round(avg(abs(feature.second_value - feature.first_value)), 6) AS mean
FROM {warehouse}.risk_score_feature AS first
INNER JOIN {warehouse}.risk_score_feature AS second
    ON second.application_id = first.application_id
CROSS JOIN LATERAL (
    VALUES
        ('ma50', first.ma50, second.ma50),
        ('ma100', first.ma100, second.ma100)
) AS feature (name, first_value, second_value)
WHERE first.version = :first_version
    AND second.version = :second_version
    AND feature.name = ANY(CAST(:features AS text[]))
GROUP BY feature.name
