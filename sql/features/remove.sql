-- Removes the values, of every version, of rows that a corrected file does not have any more.
-- Grain: application_id. Parameters: last_id: the file's last row; end_id: the end of its place.
-- Run by: features.values.
DELETE FROM {warehouse}.risk_score_feature
WHERE application_id > :last_id
    AND application_id <= :end_id
