-- Makes the table of changes where the comparison with the file has found them already.
-- Grain: one row per key that differs; value is null for a key that is gone.
-- Run by: the load, inside its transaction.
CREATE TEMPORARY TABLE entity_change (
    created_at timestamp,
    entity_id bigint,
    value bigint,
    is_new boolean
) ON COMMIT DROP
