-- Whether a place has no rows yet.
-- Grain: one row. Parameters: first_id, end_id: the bounds of the place. Run by: the load.
SELECT NOT EXISTS (
    SELECT
    FROM {warehouse}.risk_score
    WHERE application_id BETWEEN :first_id AND :end_id
)
