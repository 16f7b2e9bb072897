-- Rows of the monthly export files.
-- Grain: month. Parameters: year, month, days (dates whose months are wanted); each null for no
-- limit. Run by: export.
SELECT
    year,
    month,
    sum_values,
    min_values,
    max_values,
    mean_values
FROM {warehouse}.entity_stats_monthly
WHERE (CAST(:year AS integer) IS NULL OR year = CAST(:year AS integer))
    AND (CAST(:month AS integer) IS NULL OR month = CAST(:month AS integer))
    AND (
        CAST(:days AS date[]) IS NULL
        OR (year, month) IN (
            SELECT
                EXTRACT(YEAR FROM wanted.day),
                EXTRACT(MONTH FROM wanted.day)
            FROM unnest(CAST(:days AS date[])) AS wanted (day)
        )
    )
ORDER BY year, month
