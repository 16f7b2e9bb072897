-- Counts the source's rows that no month file can hold: without a value, an id or an instant, or
-- with an instant outside the years that a file's name can say.
-- Grain: one row. Names: place. Parameters: first, beyond, is_whole. Run by: pull, on the source.
SELECT count(*)
FROM {place}.entity
WHERE (
        created_at >= CAST(:first AS timestamp)
        AND created_at < CAST(:beyond AS timestamp)
        AND (entity_id IS NULL OR value IS NULL)
    )
    OR (
        CAST(:is_whole AS boolean)
        AND (
            created_at IS NULL
            OR created_at < timestamp '1000-01-01'
            OR created_at >= timestamp '3000-01-01'
        )
    )
