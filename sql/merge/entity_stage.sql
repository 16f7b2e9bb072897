-- Makes the table a month file is copied into; it may become the month's partition, so it has
-- the columns of the warehouse table, and as partitions do the rows' load in a default.
-- Names: staged. Run by: the load, inside its transaction.
CREATE TABLE {staging}.{staged} (
    LIKE {warehouse}.entity
);
ALTER TABLE {staging}.{staged}
    ALTER COLUMN load_id SET DEFAULT {load_id}
