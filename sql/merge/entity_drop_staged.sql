-- Removes the staged table when its rows were brought in another way.
-- Literals: load_id. Run by: the load, inside its transaction.
CALL ops.drop_staged_entity({load_id})
