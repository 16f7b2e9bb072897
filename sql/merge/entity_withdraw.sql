-- Takes the month's old partition away, to make room for its successor. Waits for readers of
-- the whole table, so the caller sets a short lock timeout.
-- Literals: first. Run by: the load, inside its transaction.
CALL ops.withdraw_entity({first})
