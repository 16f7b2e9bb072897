-- Applications with the features of version 2: ma50 is the exponential mean with span 50, ma100 the mean of the last 100 scores.
-- Grain: application_id, of the rows that have values of the version. Parameters: none.
-- Run by: migrate, when this text changed.
CREATE OR REPLACE VIEW {warehouse}.risk_score_v2 AS
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
    feature.ma100,
    feature.version AS _version,
    feature.modified_at AS _modified_ts
FROM {warehouse}.risk_score
INNER JOIN {warehouse}.risk_score_feature AS feature
    ON feature.application_id = risk_score.application_id
    AND feature.version = 2;

COMMENT ON VIEW {warehouse}.risk_score_v2 IS
'Applications with the features of version 2: ma50 is the exponential mean with span 50, ma100 the mean of the last 100 scores.';
COMMENT ON COLUMN {warehouse}.risk_score_v2.application_id IS 'Order of the applications, for ever';
COMMENT ON COLUMN {warehouse}.risk_score_v2.amount_requested IS 'Amount asked for';
COMMENT ON COLUMN {warehouse}.risk_score_v2.application_date IS 'Day of the application';
COMMENT ON COLUMN {warehouse}.risk_score_v2.loan_title IS
'Title the applicant gave; null when empty';
COMMENT ON COLUMN {warehouse}.risk_score_v2.risk_score IS
'Score; null when the file has none, and 0 is a score';
COMMENT ON COLUMN {warehouse}.risk_score_v2.debt_to_income IS
'Debt-to-income ratio in percent, as written; may be negative';
COMMENT ON COLUMN {warehouse}.risk_score_v2.zip_code IS 'Zip code, its end masked';
COMMENT ON COLUMN {warehouse}.risk_score_v2.state IS 'State of the applicant';
COMMENT ON COLUMN {warehouse}.risk_score_v2.employment_length IS 'Length of employment, in words';
COMMENT ON COLUMN {warehouse}.risk_score_v2.policy_code IS 'The lender''s policy';
COMMENT ON COLUMN {warehouse}.risk_score_v2.load_id IS 'Load that last changed the row';
COMMENT ON COLUMN {warehouse}.risk_score_v2.ma50 IS
'Exponential mean of the scores with span 50 (alpha = 2/51, not adjusted); 6 decimals';
COMMENT ON COLUMN {warehouse}.risk_score_v2.ma100 IS
'Mean of the last 100 scores, the row''s own included; 6 decimals';
COMMENT ON COLUMN {warehouse}.risk_score_v2._version IS 'Version of the features';
COMMENT ON COLUMN {warehouse}.risk_score_v2._modified_ts IS
'When the features were computed or last changed';
