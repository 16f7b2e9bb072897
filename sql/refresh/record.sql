-- Notes what a refresh covered, and the days that exports have to write again.
-- Grain: one refresh, and day it changed. Run by: refresh, at the end of its transaction.
-- Parameters: name, started_at, covered_load_id, days (those whose rows changed).
WITH noted AS (
    INSERT INTO ops.refresh (
        name,
        started_at,
        finished_at,
        rows_changed,
        covered_load_id
    )
    VALUES (
        CAST(:name AS text),
        CAST(:started_at AS timestamptz),
        greatest(clock_timestamp(), CAST(:started_at AS timestamptz)),
        cardinality(CAST(:days AS date[])),
        CAST(:covered_load_id AS bigint)
    )
    RETURNING
        name,
        refresh_id
)
INSERT INTO ops.changed_day (
    name,
    day,
    refresh_id
)
SELECT
    noted.name,
    changed.day,
    noted.refresh_id
FROM noted
CROSS JOIN unnest(CAST(:days AS date[])) AS changed (day)
