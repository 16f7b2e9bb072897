-- Computes the ratio and its rolling averages anew and adds a version of each row that changed.
-- Grain: repayment_date; gives the days whose current row was added, replaced or removed.
-- Parameters: days (touched days of warehouse.loans), refreshed_at (the new versions' created_at).
-- Run by: refresh, under its lock.
WITH recomputed_day AS (
    -- A day's ratio counts in its own averages and in those of the 7 days that follow.
    SELECT DISTINCT touched.day + following.days AS day
    FROM unnest(CAST(:days AS date[])) AS touched (day)
    CROSS JOIN generate_series(0, 7) AS following (days)
),
computed AS MATERIALIZED (
    SELECT
        given.repayment_date,
        given.loans,
        given.defaults,
        given.liquidations,
        CAST(given.liquidations AS double precision) / nullif(given.defaults, 0) AS ratio,
        rolling.avg_prev_7d,
        rolling.avg_trailing_7d
    FROM recomputed_day
    JOIN {warehouse}.loans AS given ON given.repayment_date = recomputed_day.day
    CROSS JOIN LATERAL (
        -- Sums of doubles depend on their order: ordered, every refresh gives the same bits.
        SELECT
            avg(near.ratio ORDER BY near.day)
                FILTER (WHERE near.day < given.repayment_date) AS avg_prev_7d,
            avg(near.ratio ORDER BY near.day)
                FILTER (WHERE near.day > given.repayment_date - 7) AS avg_trailing_7d
        FROM (
            SELECT
                week.repayment_date AS day,
                CAST(week.liquidations AS double precision) / nullif(week.defaults, 0) AS ratio
            FROM {warehouse}.loans AS week
            WHERE week.repayment_date BETWEEN given.repayment_date - 7 AND given.repayment_date
        ) AS near
    ) AS rolling
),
current_version AS MATERIALIZED (
    SELECT version.*
    FROM recomputed_day
    JOIN {warehouse}.default_liquidation_rolling_avg_hist AS version
        ON version.repayment_date = recomputed_day.day
        AND version.superseded_at IS NULL
),
changed AS MATERIALIZED (
    SELECT
        coalesce(computed.repayment_date, current_version.repayment_date) AS day,
        current_version.version_id AS old_version_id
    FROM computed
    FULL JOIN current_version
        ON current_version.repayment_date = computed.repayment_date
    WHERE (
        computed.repayment_date,
        computed.loans,
        computed.defaults,
        computed.liquidations,
        computed.ratio,
        computed.avg_prev_7d,
        computed.avg_trailing_7d
    ) IS DISTINCT FROM (
        current_version.repayment_date,
        current_version.loans,
        current_version.defaults,
        current_version.liquidations,
        current_version.liquidation_to_default_ratio,
        current_version.rolling_avg_prev_7d,
        current_version.rolling_avg_trailing_7d
    )
),
superseded AS (
    UPDATE {warehouse}.default_liquidation_rolling_avg_hist AS version
    SET superseded_at = CAST(:refreshed_at AS timestamptz)
    FROM changed
    WHERE version.version_id = changed.old_version_id
    RETURNING version.version_id
),
added AS (
    INSERT INTO {warehouse}.default_liquidation_rolling_avg_hist (
        repayment_date,
        loans,
        defaults,
        liquidations,
        liquidation_to_default_ratio,
        rolling_avg_prev_7d,
        rolling_avg_trailing_7d,
        created_at
    )
    SELECT
        computed.repayment_date,
        computed.loans,
        computed.defaults,
        computed.liquidations,
        computed.ratio,
        computed.avg_prev_7d,
        computed.avg_trailing_7d,
        CAST(:refreshed_at AS timestamptz)
    FROM computed
    JOIN changed ON changed.day = computed.repayment_date
    -- Always true, and known only when every old version is superseded: a day may have one
    -- current row at a time.
    WHERE (SELECT count(*) FROM superseded) >= 0
    ORDER BY computed.repayment_date
    RETURNING repayment_date
)
SELECT changed.day
FROM changed
ORDER BY changed.day
