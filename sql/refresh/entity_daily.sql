-- Makes the aggregates of the touched days equal to what warehouse.entity holds now.
-- Grain: day; gives the days whose row was added, changed or removed.
-- Parameters: days (touched days of warehouse.entity, ascending), refreshed_at.
-- Run by: refresh, under its lock.
MERGE INTO {warehouse}.entity_daily AS kept
USING (
    WITH touched_range AS (
        -- Neighbouring days are read in one go: one day by its index, a month in one scan.
        SELECT unnest(range_agg(daterange(day, day + 1))) AS days
        FROM unnest(CAST(:days AS date[])) AS touched (day)
    ),
    computed AS (
        SELECT stats.*
        FROM touched_range
        CROSS JOIN LATERAL (
            SELECT
                CAST(created_at AS date) AS day,
                count(*) AS row_count,
                sum(value) AS sum_value,
                min(value) AS min_value,
                max(value) AS max_value
            FROM {warehouse}.entity
            WHERE created_at >= lower(touched_range.days)
                AND created_at < upper(touched_range.days)
                -- Known to the planner, which then looks at the months between them only.
                AND created_at >= (CAST(:days AS date[]))[1]
                AND created_at < (CAST(:days AS date[]))[cardinality(CAST(:days AS date[]))] + 1
            GROUP BY CAST(created_at AS date)
        ) AS stats
    )
    SELECT
        touched.day,
        computed.row_count,
        computed.sum_value,
        computed.min_value,
        computed.max_value
    FROM (SELECT DISTINCT unnest(CAST(:days AS date[])) AS day) AS touched
    LEFT JOIN computed ON computed.day = touched.day
) AS found
ON kept.day = found.day
WHEN MATCHED AND found.row_count IS NULL THEN
    DELETE
WHEN MATCHED AND (
    kept.row_count,
    kept.sum_value,
    kept.min_value,
    kept.max_value
) IS DISTINCT FROM (
    found.row_count,
    found.sum_value,
    found.min_value,
    found.max_value
) THEN
    UPDATE SET
        row_count = found.row_count,
        sum_value = found.sum_value,
        min_value = found.min_value,
        max_value = found.max_value,
        refreshed_at = CAST(:refreshed_at AS timestamptz)
WHEN NOT MATCHED AND found.row_count IS NOT NULL THEN
    INSERT (day, row_count, sum_value, min_value, max_value, refreshed_at)
    VALUES (
        found.day,
        found.row_count,
        found.sum_value,
        found.min_value,
        found.max_value,
        CAST(:refreshed_at AS timestamptz)
    )
RETURNING found.day
