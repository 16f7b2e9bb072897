-- Rows of the loans export file.
-- Grain: repayment_date. Parameters: none. Run by: export.
SELECT
    repayment_date,
    loans,
    defaults,
    liquidations,
    liquidation_to_default_ratio,
    rolling_avg_prev_7d,
    rolling_avg_trailing_7d,
    created_at
FROM {warehouse}.default_liquidation_rolling_avg
ORDER BY repayment_date
