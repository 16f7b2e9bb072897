-- Gives the staged table the key of a partition: what takes time, before any lock of the
-- warehouse table.
-- Literals: load_id, first. Run by: the load, before entity_promote.sql.
CALL ops.key_entity({load_id}, {first})
