-- Sum, minimum, maximum and mean of each year's values.
-- Grain: year. Parameters: none. Run by: migrate, when this text changed.
CREATE OR REPLACE VIEW {warehouse}.entity_stats_yearly AS
SELECT
    CAST(EXTRACT(YEAR FROM day) AS integer) AS year,
    sum(sum_value) AS sum_values,
    min(min_value) AS min_values,
    max(max_value) AS max_values,
    -- 30 decimals first: a quotient's own precision is too short for a second, exact rounding.
    trim_scale(round(round(sum(sum_value), 30) / sum(row_count), 6)) AS mean_values
FROM {warehouse}.entity_daily
GROUP BY CAST(EXTRACT(YEAR FROM day) AS integer);

COMMENT ON VIEW {warehouse}.entity_stats_yearly IS
'Sum, minimum, maximum and mean of the entity values of each year.';
COMMENT ON COLUMN {warehouse}.entity_stats_yearly.year IS 'Calendar year';
COMMENT ON COLUMN {warehouse}.entity_stats_yearly.sum_values IS 'Sum of the year''s values';
COMMENT ON COLUMN {warehouse}.entity_stats_yearly.min_values IS 'Smallest value of the year';
COMMENT ON COLUMN {warehouse}.entity_stats_yearly.max_values IS 'Largest value of the year';
COMMENT ON COLUMN {warehouse}.entity_stats_yearly.mean_values IS
'Mean of the year''s values, exact to 6 decimals';
