-- Upserts the staged visits by day and shop.
-- Grain: one row per day and shop; the last line of a pair that stands twice counts.
-- Parameters: load_id. Run by: the load, inside its transaction. Returns: the row counts.
WITH newest AS (
    SELECT DISTINCT ON (day, shop)
        day,
        shop,
        visitors
    FROM {staging}.visits
    ORDER BY
        day,
        shop,
        line_number DESC
),
merged AS (
    MERGE INTO {warehouse}.visits AS kept
    USING newest
        ON kept.day = newest.day
        AND kept.shop = newest.shop
    WHEN MATCHED
        AND kept.visitors <> newest.visitors
        THEN UPDATE SET
            visitors = newest.visitors,
            load_id = :load_id
    WHEN NOT MATCHED
        THEN INSERT (day, shop, visitors, load_id)
        VALUES (newest.day, newest.shop, newest.visitors, :load_id)
    RETURNING merge_action() AS action
)
SELECT
    count(*) FILTER (WHERE action = 'INSERT') AS rows_inserted,
    count(*) FILTER (WHERE action = 'UPDATE') AS rows_updated,
    (SELECT count(*) FROM newest) - count(*) AS rows_unchanged,
    0 AS rows_deleted,
    (SELECT count(*) FROM {staging}.visits) - (SELECT count(*) FROM newest) AS rows_duplicate
FROM merged
