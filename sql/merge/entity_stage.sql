-- Makes the table a month file is copied into; it may become the month's partition, so it has
-- the columns of the warehouse table, and as partitions do the rows' load in a default.
-- The columns are written out: LIKE would hold a lock on the warehouse table through the load,
-- and two loads that each replace a month would wait for each other's.
-- Names: staged. Run by: the load, inside its transaction.
CREATE TABLE {staging}.{staged} (
    created_at timestamp NOT NULL,
    entity_id bigint NOT NULL,
    value bigint NOT NULL,
    load_id bigint NOT NULL DEFAULT {load_id}
)
