-- Notes days whose rows a load changed, for the next refresh.
-- Grain: one row per day. Parameters: pipeline, load_id, days. Run by: the load of a month file.
INSERT INTO ops.touched_day (pipeline, day, load_id)
SELECT
    :pipeline,
    day,
    :load_id
FROM unnest(CAST(:days AS date[])) AS touched (day)
