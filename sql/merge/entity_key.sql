-- Gives the staged table the key of a partition: what takes time, before any lock of the
-- warehouse table.
-- Names: staged, key. Run by: the load, before entity_promote.sql.
ALTER TABLE {staging}.{staged}
    ADD CONSTRAINT {key} PRIMARY KEY (created_at, entity_id)
