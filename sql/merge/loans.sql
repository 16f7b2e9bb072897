-- Upserts the staged loans by repayment date and notes the days whose numbers changed.
-- Grain: one row per repayment_date; the last line of a date that stands twice counts.
-- A row of an older as-of date never overwrites a newer one; where only the as-of date moves
-- on, the row keeps its load_id and updated_at and counts as unchanged.
-- Parameters: load_id, rows_staged, keys_differ (no date stands twice). Run by: the load, inside its
-- transaction. Returns: the row counts.
WITH last_line AS (
    -- Grouped and joined by hash, in half the time that DISTINCT ON takes to sort.
    SELECT max(line_number) AS line_number
    FROM {staging}.loans
    WHERE NOT :keys_differ
    GROUP BY repayment_date
    -- There are no more; it tells the planner how many to expect, where the table's size, with rows
    -- that were deleted but not yet vacuumed, says too many.
    LIMIT :rows_staged
),
newest AS (
    (
        SELECT
            repayment_date,
            loans,
            defaults,
            liquidations,
            as_of
        FROM {staging}.loans
        WHERE :keys_differ
        LIMIT :rows_staged
    )
    UNION ALL
    SELECT
        repayment_date,
        loans,
        defaults,
        liquidations,
        as_of
    FROM {staging}.loans
    JOIN last_line USING (line_number)
    WHERE NOT :keys_differ
),
merged AS (
    MERGE INTO {warehouse}.loans AS kept
    USING newest
        ON kept.repayment_date = newest.repayment_date
    WHEN MATCHED
        AND newest.as_of >= kept.as_of
        AND (newest.loans, newest.defaults, newest.liquidations)
            IS DISTINCT FROM (kept.loans, kept.defaults, kept.liquidations)
        THEN UPDATE SET
            loans = newest.loans,
            defaults = newest.defaults,
            liquidations = newest.liquidations,
            as_of = newest.as_of,
            load_id = :load_id,
            updated_at = now()
    WHEN MATCHED
        AND newest.as_of > kept.as_of
        THEN UPDATE SET
            as_of = newest.as_of
    WHEN NOT MATCHED
        THEN INSERT (repayment_date, loans, defaults, liquidations, as_of, load_id, updated_at)
        VALUES (
            newest.repayment_date,
            newest.loans,
            newest.defaults,
            newest.liquidations,
            newest.as_of,
            :load_id,
            now()
        )
    RETURNING
        merge_action() AS action,
        new.repayment_date AS day,
        (old.loans, old.defaults, old.liquidations)
            IS DISTINCT FROM (new.loans, new.defaults, new.liquidations) AS numbers_changed
),
touched AS (
    INSERT INTO ops.touched_day (pipeline, day, load_id)
    SELECT
        'loans',
        day,
        :load_id
    FROM merged
    WHERE numbers_changed
)
SELECT
    outcome.rows_inserted,
    outcome.rows_updated,
    counted.days - outcome.rows_changed AS rows_unchanged,
    0 AS rows_deleted,
    CAST(:rows_staged AS bigint) - counted.days AS rows_duplicate
FROM (
    SELECT
        count(*) FILTER (WHERE action = 'INSERT') AS rows_inserted,
        count(*) FILTER (WHERE action = 'UPDATE' AND numbers_changed) AS rows_updated,
        count(*) FILTER (WHERE numbers_changed) AS rows_changed
    FROM merged
) AS outcome
CROSS JOIN (
    SELECT
        CASE
            WHEN :keys_differ THEN (SELECT count(*) FROM {staging}.loans)
            ELSE (SELECT count(*) FROM last_line)
        END AS days
) AS counted
