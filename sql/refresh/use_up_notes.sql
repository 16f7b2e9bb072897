-- Removes the notes of a pipeline's loads that are committed by now, and gives what they say.
-- Grain: load and day it touched. Parameters: pipeline. Run by: refresh, under its lock.
DELETE FROM ops.touched_day
WHERE pipeline = :pipeline
RETURNING
    day,
    load_id
