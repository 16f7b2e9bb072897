-- Whether somebody holds a snapshot across statements (repeatable read, serializable, cursors).
-- Such a reader would find a month that is replaced now empty, for its rows are too new.
-- Grain: one row. Run by: the load, once it holds the lock that keeps other readers away.
SELECT EXISTS (
    SELECT
    FROM pg_stat_activity
    WHERE datname = current_database()
        AND pid <> pg_backend_pid()
        AND backend_xmin IS NOT NULL
        AND state LIKE 'idle in transaction%'
)
