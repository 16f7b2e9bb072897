-- Rows of the daily export files.
-- Grain: day. Parameters: year, month, days (dates); each null for no limit. Run by: export.
SELECT
    year,
    month,
    day,
    sum_values,
    min_values,
    max_values,
    mean_values
FROM {warehouse}.entity_stats_daily
WHERE (CAST(:year AS integer) IS NULL OR year = CAST(:year AS integer))
    AND (CAST(:month AS integer) IS NULL OR month = CAST(:month AS integer))
    AND (
        CAST(:days AS date[]) IS NULL
        OR make_date(year, month, day) = ANY (CAST(:days AS date[]))
    )
ORDER BY year, month, day
