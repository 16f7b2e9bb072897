-- Days that refreshes changed after the one that an exports folder covers.
-- Grain: derived table and day. Parameters: refresh_id (the covered one). Run by: export.
SELECT DISTINCT
    name,
    day
FROM ops.changed_day
WHERE refresh_id > :refresh_id
ORDER BY
    name,
    day
