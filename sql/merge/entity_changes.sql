-- Finds what turns the month as it is into the month as staged.
-- Grain: one row per key that differs; value is null for a key that is gone.
-- Names: staged, partition. Run by: the load, inside its transaction.
CREATE TEMPORARY TABLE entity_change ON COMMIT DROP AS
SELECT
    coalesce(staged.created_at, kept.created_at) AS created_at,
    coalesce(staged.entity_id, kept.entity_id) AS entity_id,
    staged.value,
    kept.entity_id IS NULL AS is_new
FROM {staging}.{staged} AS staged
FULL JOIN {warehouse}.{partition} AS kept
    ON kept.created_at = staged.created_at
    AND kept.entity_id = staged.entity_id
WHERE staged.value IS DISTINCT FROM kept.value
