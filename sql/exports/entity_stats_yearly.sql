-- Rows of the yearly export files.
-- Grain: year. Parameters: year, days (dates whose years are wanted); each null for no limit.
-- Run by: export.
SELECT
    year,
    sum_values,
    min_values,
    max_values,
    mean_values
FROM {warehouse}.entity_stats_yearly
WHERE (CAST(:year AS integer) IS NULL OR year = CAST(:year AS integer))
    AND (
        CAST(:days AS date[]) IS NULL
        OR year IN (
            SELECT EXTRACT(YEAR FROM wanted.day)
            FROM unnest(CAST(:days AS date[])) AS wanted (day)
        )
    )
ORDER BY year
