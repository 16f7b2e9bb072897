-- Every registered version, whether it is the active one, and how many applications have its values.
-- Grain: version. Parameters: none. Run by: features.versions.
SELECT
    known.version,
    known.features,
    known.definition,
    known.definition_hash,
    known.created_at,
    known.activated_at,
    known.activated_at IS NOT DISTINCT FROM max(known.activated_at) OVER () AS is_active,
    (
        SELECT count(*)
        FROM {warehouse}.risk_score_feature AS feature
        WHERE feature.version = known.version
    ) AS rows_with_values
FROM {warehouse}.feature_version AS known
ORDER BY known.version
