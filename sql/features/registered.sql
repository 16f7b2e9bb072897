-- The definition that a version is registered with, which stays so until the transaction's end.
-- Grain: version. Parameters: version. Run by: features.versions.
SELECT definition_hash
FROM {warehouse}.feature_version
WHERE version = :version
FOR SHARE
