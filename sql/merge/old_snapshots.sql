-- Whether somebody may hold a snapshot across statements (repeatable read, serializable, cursors).
-- Such a reader would find a month that is replaced now empty, for its rows are too new.
-- Also true for whoever runs a statement, as its snapshot may be the whole transaction's, and for
-- sessions of other roles that this one may not look into (without pg_read_all_stats).
-- Grain: one row. Run by: the load, once it holds the lock that keeps other readers away.
SELECT EXISTS (
    SELECT
    FROM pg_stat_activity
    WHERE datname = current_database()
        AND pid <> pg_backend_pid()
        AND (
            backend_xmin IS NOT NULL
            OR state IS NULL
        )
        -- Autovacuum has no role; neither it nor replication reads the month.
        AND usesysid IS NOT NULL
        AND pid NOT IN (
            SELECT pid
            FROM pg_stat_replication
        )
)
