-- When a refresh ended; no row when there is none of that number.
-- Grain: refresh. Parameters: refresh_id. Run by: export.
SELECT finished_at
FROM ops.refresh
WHERE refresh_id = :refresh_id
