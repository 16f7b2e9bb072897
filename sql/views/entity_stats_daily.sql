-- Sum, minimum, maximum and mean of each day's values.
-- Grain: day. Parameters: none. Run by: migrate, when this text changed.
CREATE OR REPLACE VIEW {warehouse}.entity_stats_daily AS
SELECT
    CAST(EXTRACT(YEAR FROM day) AS integer) AS year,
    CAST(EXTRACT(MONTH FROM day) AS integer) AS month,
    CAST(EXTRACT(DAY FROM day) AS integer) AS day,
    CAST(sum_value AS numeric) AS sum_values,
    min_value AS min_values,
    max_value AS max_values,
    -- 30 decimals first: a quotient's own precision is too short for a second, exact rounding.
    trim_scale(round(round(sum_value, 30) / row_count, 6)) AS mean_values
FROM {warehouse}.entity_daily;

COMMENT ON VIEW {warehouse}.entity_stats_daily IS
'Sum, minimum, maximum and mean of the entity values of each day.';
COMMENT ON COLUMN {warehouse}.entity_stats_daily.year IS 'Calendar year';
COMMENT ON COLUMN {warehouse}.entity_stats_daily.month IS 'Month of the year, from 1';
COMMENT ON COLUMN {warehouse}.entity_stats_daily.day IS 'Day of the month, from 1';
COMMENT ON COLUMN {warehouse}.entity_stats_daily.sum_values IS 'Sum of the day''s values';
COMMENT ON COLUMN {warehouse}.entity_stats_daily.min_values IS 'Smallest value of the day';
COMMENT ON COLUMN {warehouse}.entity_stats_daily.max_values IS 'Largest value of the day';
COMMENT ON COLUMN {warehouse}.entity_stats_daily.mean_values IS
'Mean of the day''s values, exact to 6 decimals';
