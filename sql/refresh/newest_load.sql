-- The newest load of a pipeline, null before the first.
-- Grain: one row. Parameters: pipeline. Run by: refresh --full, under its lock.
SELECT max(load_id)
FROM ops.load
WHERE pipeline = :pipeline
    AND status = 'loaded'
