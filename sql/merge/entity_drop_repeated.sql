-- Removes rows whose key stands again further down in the file.
-- Grain: the last row of each key stays; a table filled by one COPY is in the file's order.
-- Names: staged. Run by: the load, where the rows do not show by themselves that keys differ.
DELETE FROM {staging}.{staged} AS earlier
USING (
    SELECT
        created_at,
        entity_id,
        max(ctid) AS last_ctid
    FROM {staging}.{staged}
    GROUP BY
        created_at,
        entity_id
    HAVING count(*) > 1
) AS repeated
WHERE earlier.created_at = repeated.created_at
    AND earlier.entity_id = repeated.entity_id
    AND earlier.ctid <> repeated.last_ctid
