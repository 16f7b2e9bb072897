-- Makes a version the active one, and notes that it became it.
-- Grain: version. Parameters: version. Run by: features.registry.
WITH activated AS (
    UPDATE {warehouse}.feature_version
    SET activated_at = clock_timestamp()
    WHERE version = :version
    RETURNING
        version,
        activated_at
)
INSERT INTO {warehouse}.feature_activation (version, activated_at)
SELECT
    version,
    activated_at
FROM activated
