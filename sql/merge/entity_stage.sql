-- Makes the table a month file is copied into; it may become the month's partition.
-- Tables are made, changed and dropped by procedures of migration 0008 with the rights of their
-- owner; the service itself has none to.
-- Literals: load_id, first. Run by: the load, inside its transaction.
CALL ops.stage_entity({load_id}, {first})
