-- Which values each version has of a file's rows and of those after them.
-- Grain: version. Parameters: first_id, end_id: the bounds of the file's place.
-- Run by: features.values.
SELECT
    version,
    EXISTS (
        SELECT
        FROM {warehouse}.risk_score_feature AS own
        WHERE own.version = known.version
            AND own.application_id BETWEEN :first_id AND :end_id
    ) AS has_own,
    (
        SELECT min(later.application_id)
        FROM {warehouse}.risk_score_feature AS later
        WHERE later.version = known.version
            AND later.application_id > :end_id
    ) AS first_later,
    (
        SELECT max(later.application_id)
        FROM {warehouse}.risk_score_feature AS later
        WHERE later.version = known.version
            AND later.application_id > :end_id
    ) AS last_later
FROM {warehouse}.feature_version AS known
ORDER BY version
