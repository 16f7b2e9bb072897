-- The time now, later than any earlier refresh of the table even if the clock was set back.
-- Grain: one row. Parameters: name (the derived table). Run by: refresh, under its lock.
SELECT greatest(
    clock_timestamp(),
    (
        SELECT started_at + INTERVAL '1 microsecond'
        FROM ops.refresh
        WHERE name = :name
        ORDER BY refresh_id DESC
        LIMIT 1
    )
)
