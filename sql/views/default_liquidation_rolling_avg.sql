-- The current version of each day's ratio and rolling averages.
-- Grain: repayment_date. Parameters: none. Run by: migrate, when this text changed.
CREATE OR REPLACE VIEW {warehouse}.default_liquidation_rolling_avg AS
SELECT
    repayment_date,
    loans,
    defaults,
    liquidations,
    liquidation_to_default_ratio,
    rolling_avg_prev_7d,
    rolling_avg_trailing_7d,
    created_at
FROM {warehouse}.default_liquidation_rolling_avg_hist
WHERE superseded_at IS NULL;

COMMENT ON VIEW {warehouse}.default_liquidation_rolling_avg IS
'Liquidation-to-default ratio by repayment date, with its rolling averages: the current rows.';
COMMENT ON COLUMN {warehouse}.default_liquidation_rolling_avg.repayment_date IS
'Day the loans were due';
COMMENT ON COLUMN {warehouse}.default_liquidation_rolling_avg.loans IS
'Loans due on the day';
COMMENT ON COLUMN {warehouse}.default_liquidation_rolling_avg.defaults IS
'Of these, defaulted';
COMMENT ON COLUMN {warehouse}.default_liquidation_rolling_avg.liquidations IS
'Of these, liquidated';
COMMENT ON COLUMN {warehouse}.default_liquidation_rolling_avg.liquidation_to_default_ratio IS
'liquidations / defaults; null where defaults = 0';
COMMENT ON COLUMN {warehouse}.default_liquidation_rolling_avg.rolling_avg_prev_7d IS
'Mean of the ratio over the 7 calendar days before the day; missing days and nulls do not count';
COMMENT ON COLUMN {warehouse}.default_liquidation_rolling_avg.rolling_avg_trailing_7d IS
'Mean of the ratio over the day and the 6 calendar days before it';
COMMENT ON COLUMN {warehouse}.default_liquidation_rolling_avg.created_at IS
'When this version of the row was computed';
