-- Takes the month's old partition away, to make room for its successor. Waits for readers of
-- the whole table, so the caller sets a short lock timeout.
-- Names: partition. Run by: the load, inside its transaction.
ALTER TABLE {warehouse}.entity
    DETACH PARTITION {warehouse}.{partition};
DROP TABLE {warehouse}.{partition}
