-- What happened to each file, in words.
-- Grain: folder and file name as dropped, with its latest load. Parameters: none.
-- Run by: migrate, when this text changed.
CREATE OR REPLACE VIEW ops.file_status AS
SELECT DISTINCT ON (file_name, folder)
    file_name,
    pipeline,
    scope,
    status,
    CASE status
        WHEN 'running' THEN concat(
            'being loaded since ',
            to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
            ' UTC',
            CASE WHEN attempt > 1 THEN concat(', attempt ', attempt) END
        )
        WHEN 'loaded' THEN concat(
            'loaded: ',
            coalesce(
                nullif(
                    concat_ws(
                        ', ',
                        CASE WHEN rows_inserted > 0
                            THEN concat(rows_inserted, ' inserted') END,
                        CASE WHEN rows_updated > 0
                            THEN concat(rows_updated, ' updated') END,
                        CASE WHEN rows_unchanged > 0
                            THEN concat(rows_unchanged, ' unchanged') END,
                        CASE WHEN rows_deleted > 0
                            THEN concat(rows_deleted, ' deleted') END,
                        CASE WHEN rows_duplicate > 0
                            THEN concat(rows_duplicate, ' repeated in the file') END,
                        CASE WHEN rows_rejected > 0
                            THEN concat(rows_rejected, ' rejected') END
                    ),
                    ''
                ),
                'the file holds no rows'
            )
        )
        WHEN 'duplicate' THEN coalesce(
            error,
            'the same content as an earlier load; nothing to load'
        )
        ELSE concat(status, ': ', coalesce(error, 'no reason was recorded'))
    END AS what_happened,
    load_id,
    -- Ordered as the whole view is, so that one pass over the index serves both.
    count(*) OVER (
        PARTITION BY
            file_name,
            folder
        ORDER BY load_id DESC
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) AS loads,
    file_bytes,
    discovered_at,
    finished_at,
    filed_path,
    rows_read,
    rows_inserted,
    rows_updated,
    rows_unchanged,
    rows_deleted,
    rows_rejected,
    rows_duplicate,
    folder
FROM ops.load
ORDER BY
    file_name,
    folder,
    load_id DESC;

COMMENT ON VIEW ops.file_status IS
'What happened to my file? One line per folder and file name, with its latest load.';
COMMENT ON COLUMN ops.file_status.file_name IS 'Name of the file as it was dropped';
COMMENT ON COLUMN ops.file_status.pipeline IS
'The feed''s pipeline; null when the file fits none';
COMMENT ON COLUMN ops.file_status.scope IS
'What the file replaces, for entity its month YYYY-MM; else null';
COMMENT ON COLUMN ops.file_status.status IS
'running, loaded, duplicate, quarantined or failed';
COMMENT ON COLUMN ops.file_status.what_happened IS 'The outcome of the latest load, in words';
COMMENT ON COLUMN ops.file_status.load_id IS 'The latest load of a file of this name in this folder';
COMMENT ON COLUMN ops.file_status.loads IS 'Loads of files of this name in this folder so far';
COMMENT ON COLUMN ops.file_status.file_bytes IS 'Size as stored, in bytes';
COMMENT ON COLUMN ops.file_status.discovered_at IS 'When the file was seen';
COMMENT ON COLUMN ops.file_status.finished_at IS 'When the load ended; null while running';
COMMENT ON COLUMN ops.file_status.filed_path IS
'Where the file is kept; null when it was deleted or has not left imports/ yet';
COMMENT ON COLUMN ops.file_status.rows_read IS 'Data rows in the file, rejected ones included';
COMMENT ON COLUMN ops.file_status.rows_inserted IS 'Rows new to the warehouse';
COMMENT ON COLUMN ops.file_status.rows_updated IS 'Rows whose values changed';
COMMENT ON COLUMN ops.file_status.rows_unchanged IS
'Rows the warehouse had already, or newer';
COMMENT ON COLUMN ops.file_status.rows_deleted IS
'Warehouse rows removed; not part of rows_read';
COMMENT ON COLUMN ops.file_status.rows_rejected IS 'Rows not loaded because they break a rule';
COMMENT ON COLUMN ops.file_status.rows_duplicate IS
'Rows that stand again elsewhere in the file';
COMMENT ON COLUMN ops.file_status.folder IS
'Feed folder below imports/ the file was dropped into; null at the top';
