-- Makes the staged table the month's partition. Readers of other months are not kept waiting:
-- attaching takes a lock that only other changes of partitions wait for.
-- Literals: load_id, first. Run by: the load, after entity_key.sql.
CALL ops.promote_entity({load_id}, {first})
