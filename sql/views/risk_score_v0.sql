-- Applications with the features of version 0: ma50 is the mean of the last 50 scores.
-- Grain: application_id, of the rows that have values of the version. Parameters: none.
-- Run by: migrate, when this text changed.
CREATE OR REPLACE VIEW {warehouse}.risk_score_v0 AS
SELECT
    risk_score.application_id,
    risk_score.amount_requested,
    risk_score.application_date,
    risk_score.loan_title,
    risk_score.risk_score,
    risk_score.debt_to_income,
    risk_score.zip_code,
    risk_score.state,
    risk_score.employment_length,
    risk_score.policy_code,
    risk_score.load_id,
    feature.ma50,
    feature.version AS _version,
    feature.modified_at AS _modified_ts
FROM {warehouse}.risk_score
INNER JOIN {warehouse}.risk_score_feature AS feature
    ON feature.application_id = risk_score.application_id
    AND feature.version = 0;

COMMENT ON VIEW {warehouse}.risk_score_v0 IS
'Applications with the features of version 0: ma50 is the mean of the last 50 scores.';
COMMENT ON COLUMN {warehouse}.risk_score_v0.application_id IS 'Order of the applications, for ever';
COMMENT ON COLUMN {warehouse}.risk_score_v0.amount_requested IS 'Amount asked for';
COMMENT ON COLUMN {warehouse}.risk_score_v0.application_date IS 'Day of the application';
COMMENT ON COLUMN {warehouse}.risk_score_v0.loan_title IS
'Title the applicant gave; null when empty';
COMMENT ON COLUMN {warehouse}.risk_score_v0.risk_score IS
'Score; null when the file has none, and 0 is a score';
COMMENT ON COLUMN {warehouse}.risk_score_v0.debt_to_income IS
'Debt-to-income ratio in percent, as written; may be negative';
COMMENT ON COLUMN {warehouse}.risk_score_v0.zip_code IS 'Zip code, its end masked';
COMMENT ON COLUMN {warehouse}.risk_score_v0.state IS 'State of the applicant';
COMMENT ON COLUMN {warehouse}.risk_score_v0.employment_length IS 'Length of employment, in words';
COMMENT ON COLUMN {warehouse}.risk_score_v0.policy_code IS 'The lender''s policy';
COMMENT ON COLUMN {warehouse}.risk_score_v0.load_id IS 'Load that last changed the row';
COMMENT ON COLUMN {warehouse}.risk_score_v0.ma50 IS
'Mean of the last 50 scores, the row''s own included; 6 decimals';
COMMENT ON COLUMN {warehouse}.risk_score_v0._version IS 'Version of the features';
COMMENT ON COLUMN {warehouse}.risk_score_v0._modified_ts IS
'When the features were computed or last changed';
