-- Makes the staged table the month's partition. Readers of other months are not kept waiting:
-- attaching takes a lock that only other changes of partitions wait for.
-- Names: staged, partition, key, first, beyond. Run by: the load, inside its transaction.
ALTER TABLE {staging}.{staged}
    ADD CONSTRAINT {key} PRIMARY KEY (created_at, entity_id);
ALTER TABLE {staging}.{staged}
    ALTER COLUMN load_id DROP DEFAULT;
ALTER TABLE {staging}.{staged}
    RENAME TO {partition};
ALTER TABLE {staging}.{partition}
    SET SCHEMA {warehouse};
ALTER TABLE {warehouse}.entity
    ATTACH PARTITION {warehouse}.{partition}
    FOR VALUES FROM ({first}) TO ({beyond})
