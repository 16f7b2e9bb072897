-- Makes the table a month file is copied into; it may become the month's partition.
-- The columns are written out: LIKE would hold a lock on the warehouse table through the load,
-- and two loads that each replace a month would wait for each other's. load_id comes with the
-- promotion: it is the same for every row, so a new column's default says it without a byte a row.
-- The check costs next to nothing here, and spares attaching a look at every row.
-- Names: staged. Literals: first, beyond. Run by: the load, inside its transaction.
CREATE TABLE {staging}.{staged} (
    created_at timestamp NOT NULL,
    entity_id bigint NOT NULL,
    value bigint NOT NULL,
    CONSTRAINT inside_month CHECK (created_at >= {first} AND created_at < {beyond})
)
