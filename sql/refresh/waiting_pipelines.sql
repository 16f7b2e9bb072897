-- The pipelines whose loads touched days since the last refresh.
-- Grain: pipeline. Parameters: none. Run by: refresh, to open no transaction for nothing.
SELECT DISTINCT pipeline
FROM ops.touched_day
