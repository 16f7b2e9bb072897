-- When a version became active, and when that was taken back.
-- Grain: activation. Parameters: version. Run by: features.versions.
SELECT
    activated_at,
    withdrawn_at
FROM {warehouse}.feature_activation
WHERE version = :version
ORDER BY activation_id
