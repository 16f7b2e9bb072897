-- The registered versions, the one activated last first.
-- Grain: version. Parameters: none. Run by: features.registry.
SELECT
    version,
    definition_hash,
    activated_at
FROM {warehouse}.feature_version
ORDER BY
    activated_at DESC NULLS LAST,
    version
