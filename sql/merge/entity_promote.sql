-- Makes the staged table the month's partition. Readers of other months are not kept waiting:
-- attaching takes a lock that only other changes of partitions wait for.
-- Names: staged, partition. Literals: load_id, scope, first, beyond. Run by: the load, after entity_key.sql.
ALTER TABLE {staging}.{staged}
    ADD COLUMN load_id bigint NOT NULL DEFAULT {load_id};
ALTER TABLE {staging}.{staged}
    ALTER COLUMN load_id DROP DEFAULT;
ALTER TABLE {staging}.{staged}
    RENAME TO {partition};
ALTER TABLE {staging}.{partition}
    SET SCHEMA {warehouse};
ALTER TABLE {warehouse}.entity
    ATTACH PARTITION {warehouse}.{partition}
    FOR VALUES FROM ({first}) TO ({beyond});
ALTER TABLE {warehouse}.{partition}
    DROP CONSTRAINT inside_month;
COMMENT ON TABLE {warehouse}.{partition}
    IS 'The month {scope} of entity, as its newest file says.';
COMMENT ON COLUMN {warehouse}.{partition}.created_at
    IS 'When the value was measured, as the source says';
COMMENT ON COLUMN {warehouse}.{partition}.entity_id
    IS 'The source''s id, or the row''s position in its month file';
COMMENT ON COLUMN {warehouse}.{partition}.value
    IS 'The measured value';
COMMENT ON COLUMN {warehouse}.{partition}.load_id
    IS 'Load that wrote the row'
