-- Every application with the values of the active version of the features.
-- A row that the active version has no values for keeps those of the version activated last that
-- has; _version says which.
-- Grain: application_id. Parameters: none. Run by: migrate, when this text changed.
CREATE OR REPLACE VIEW {warehouse}.risk_score_current AS
WITH active AS (
    SELECT version
    FROM {warehouse}.feature_version
    WHERE activated_at IS NOT NULL
    ORDER BY activated_at DESC
    LIMIT 1
)
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
    AND feature.version = (SELECT version FROM active)
UNION ALL
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
    feature.version,
    feature.modified_at
FROM {warehouse}.risk_score
CROSS JOIN LATERAL (
    SELECT older.*
    FROM {warehouse}.risk_score_feature AS older
    INNER JOIN {warehouse}.feature_version
        ON feature_version.version = older.version
    WHERE older.application_id = risk_score.application_id
    ORDER BY feature_version.activated_at DESC NULLS LAST
    LIMIT 1
) AS feature
WHERE NOT EXISTS (
    SELECT
    FROM {warehouse}.risk_score_feature AS current_one
    WHERE current_one.application_id = risk_score.application_id
        AND current_one.version = (SELECT version FROM active)
);

COMMENT ON VIEW {warehouse}.risk_score_current IS
'Every application with the features of the active version, or of an older one while it has none.';
COMMENT ON COLUMN {warehouse}.risk_score_current.application_id IS
'Order of the applications, for ever';
COMMENT ON COLUMN {warehouse}.risk_score_current.amount_requested IS 'Amount asked for';
COMMENT ON COLUMN {warehouse}.risk_score_current.application_date IS 'Day of the application';
COMMENT ON COLUMN {warehouse}.risk_score_current.loan_title IS
'Title the applicant gave; null when empty';
COMMENT ON COLUMN {warehouse}.risk_score_current.risk_score IS
'Score; null when the file has none, and 0 is a score';
COMMENT ON COLUMN {warehouse}.risk_score_current.debt_to_income IS
'Debt-to-income ratio in percent, as written; may be negative';
COMMENT ON COLUMN {warehouse}.risk_score_current.zip_code IS 'Zip code, its end masked';
COMMENT ON COLUMN {warehouse}.risk_score_current.state IS 'State of the applicant';
COMMENT ON COLUMN {warehouse}.risk_score_current.employment_length IS
'Length of employment, in words';
COMMENT ON COLUMN {warehouse}.risk_score_current.policy_code IS 'The lender''s policy';
COMMENT ON COLUMN {warehouse}.risk_score_current.load_id IS 'Load that last changed the row';
COMMENT ON COLUMN {warehouse}.risk_score_current.ma50 IS
'Mean over 50 scores as the row''s version defines it; 6 decimals';
COMMENT ON COLUMN {warehouse}.risk_score_current.ma100 IS
'Mean of the last 100 scores; null in version 0';
COMMENT ON COLUMN {warehouse}.risk_score_current._version IS
'Version of the features the row''s values are of';
COMMENT ON COLUMN {warehouse}.risk_score_current._modified_ts IS
'When they were computed or last changed';
