-- Readies the staged table to be the month's partition, all that takes time before any lock of
-- the warehouse table: its key, and the check that spares the look at every row on attaching.
-- Names: staged, key, first, beyond. Run by: the load, before entity_promote.sql.
ALTER TABLE {staging}.{staged}
    ADD CONSTRAINT {key} PRIMARY KEY (created_at, entity_id);
ALTER TABLE {staging}.{staged}
    ADD CONSTRAINT inside_month CHECK (created_at >= {first} AND created_at < {beyond})
