-- Sum, minimum, maximum and mean of each month's values.
-- Grain: month. Parameters: none. Run by: migrate, when this text changed.
CREATE OR REPLACE VIEW {warehouse}.entity_stats_monthly AS
SELECT
    CAST(EXTRACT(YEAR FROM day) AS integer) AS year,
    CAST(EXTRACT(MONTH FROM day) AS integer) AS month,
    sum(sum_value) AS sum_values,
    min(min_value) AS min_values,
    max(max_value) AS max_values,
    -- 30 decimals first: a quotient's own precision is too short for a second, exact rounding.
    trim_scale(round(round(sum(sum_value), 30) / sum(row_count), 6)) AS mean_values
FROM {warehouse}.entity_daily
GROUP BY
    CAST(EXTRACT(YEAR FROM day) AS integer),
    CAST(EXTRACT(MONTH FROM day) AS integer);

COMMENT ON VIEW {warehouse}.entity_stats_monthly IS
'Sum, minimum, maximum and mean of the entity values of each month.';
COMMENT ON COLUMN {warehouse}.entity_stats_monthly.year IS 'Calendar year';
COMMENT ON COLUMN {warehouse}.entity_stats_monthly.month IS 'Month of the year, from 1';
COMMENT ON COLUMN {warehouse}.entity_stats_monthly.sum_values IS 'Sum of the month''s values';
COMMENT ON COLUMN {warehouse}.entity_stats_monthly.min_values IS 'Smallest value of the month';
COMMENT ON COLUMN {warehouse}.entity_stats_monthly.max_values IS 'Largest value of the month';
COMMENT ON COLUMN {warehouse}.entity_stats_monthly.mean_values IS
'Mean of the month''s values, exact to 6 decimals';
