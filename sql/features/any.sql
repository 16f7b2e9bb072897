-- Whether a version has values of some rows of a range.
-- Grain: one row. Parameters: version, first_id, last_id. Run by: features.values.
SELECT EXISTS (
    SELECT
    FROM {warehouse}.risk_score_feature
    WHERE version = :version
        AND application_id BETWEEN :first_id AND :last_id
)
