-- How many applications have no values of a version.
-- Grain: one row. Parameters: version. Run by: features.versions.
SELECT
    (SELECT count(*) FROM {warehouse}.risk_score)
    - (SELECT count(*) FROM {warehouse}.risk_score_feature WHERE version = :version) AS rows_missing
