-- A page of the month as it is, in the order of its key, for comparing it with the file.
-- Grain: one row per row. Names: partition. Literals: instant and row_id (the last key of the page
-- before), page_rows. Run by: the load, copied out.
SELECT
    created_at,
    entity_id,
    value
FROM {warehouse}.{partition}
WHERE (created_at, entity_id) > ({instant}, {row_id})
ORDER BY
    created_at,
    entity_id
LIMIT {page_rows}
