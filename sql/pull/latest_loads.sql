-- Finds what each month was loaded from last.
-- Grain: one row per month ever loaded. Run by: pull, in the snapshot of its fingerprints.
SELECT DISTINCT ON (scope)
    load_id,
    scope,
    sha256,
    rows_duplicate + rows_rejected AS rows_left_out
FROM ops.load
WHERE pipeline = 'entity'
    AND status = 'loaded'
ORDER BY
    scope,
    finished_at DESC
