-- Every day that a full refresh of default_liquidation_rolling_avg_hist has to look at.
-- Grain: day. Parameters: none. Run by: refresh --full.
SELECT repayment_date AS day
FROM {warehouse}.loans
UNION
SELECT repayment_date
FROM {warehouse}.default_liquidation_rolling_avg_hist
WHERE superseded_at IS NULL
ORDER BY day
