-- Registers a version, or brings one that was never active up to date.
-- Grain: version. Parameters: version, features, definition, definition_hash. Run by: migrate.
INSERT INTO {warehouse}.feature_version AS known (
    version,
    features,
    definition,
    definition_hash,
    created_at
)
VALUES (:version, :features, :definition, :definition_hash, now())
ON CONFLICT (version) DO UPDATE SET
    features = excluded.features,
    definition = excluded.definition,
    definition_hash = excluded.definition_hash
WHERE known.activated_at IS NULL
    AND known.definition_hash <> excluded.definition_hash
