-- Gives a month's rows in the order of the warehouse's key, for COPY to take out.
-- Grain: one row per row of the source. Names: place. Literals: first, beyond. Run by: pull, on the
-- source.
SELECT
    created_at,
    entity_id,
    value
FROM {place}.entity
WHERE created_at >= {first}
    AND created_at < {beyond}
    AND entity_id IS NOT NULL
    AND value IS NOT NULL
ORDER BY
    created_at,
    entity_id
