-- Whether somebody may hold a snapshot across statements (repeatable read, serializable, cursors).
-- Such a reader would find a month that is replaced now empty, for its rows are too new.
-- Also true for whoever runs a statement, as its snapshot may be the whole transaction's, and for
-- sessions that the owner of the tables, as whom the function looks, may not look into (without
-- pg_read_all_stats).
-- Grain: one row. Run by: the load, once it holds the lock that keeps other readers away.
SELECT ops.has_old_snapshots()
