-- Brings the changes into the month's partition in place; readers see the old month until the
-- commit and the new one after it.
-- Names: partition. Literals: load_id. Run by: the load, once entity_change is filled.
ANALYZE entity_change;
MERGE INTO {warehouse}.{partition} AS kept
USING entity_change AS change
    ON kept.created_at = change.created_at
    AND kept.entity_id = change.entity_id
WHEN MATCHED
    AND change.value IS NULL
    THEN DELETE
WHEN MATCHED
    THEN UPDATE SET
        value = change.value,
        load_id = {load_id}
WHEN NOT MATCHED
    THEN INSERT (created_at, entity_id, value, load_id)
    VALUES (change.created_at, change.entity_id, change.value, {load_id})
