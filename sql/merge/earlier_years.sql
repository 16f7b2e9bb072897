-- Loaded files of the same name as a load's, and others that hold its very content still.
-- Grain: load. Parameters: load_id. Run by: the load, before it reads the file.
SELECT
    earlier.load_id,
    earlier.file_name,
    earlier.scope,
    own.file_name AS own_name,
    own.scope AS own_scope,
    earlier.file_name = own.file_name AS has_same_name
FROM ops.load AS own
INNER JOIN ops.load AS earlier
    ON (earlier.file_name = own.file_name OR earlier.sha256 = own.sha256)
    AND earlier.pipeline = own.pipeline
    AND earlier.status = 'loaded'
WHERE own.load_id = :load_id
    AND (
        earlier.file_name = own.file_name
        OR NOT EXISTS (
            SELECT
            FROM ops.load AS corrected
            WHERE corrected.file_name = earlier.file_name
                AND corrected.pipeline = earlier.pipeline
                AND corrected.scope IS NOT DISTINCT FROM earlier.scope
                AND corrected.status = 'loaded'
                AND corrected.finished_at > earlier.finished_at
                AND corrected.sha256 <> earlier.sha256
        )
    )
ORDER BY earlier.load_id
