-- Keeps the bad messages of a batch.
-- Grain: message. Parameters: load_id, topic, and one of each for every message: line_numbers (its
-- number in the batch), column_names, reasons, raws, partitions, message_offsets.
-- Run by: stream, in the transaction of the rows.
INSERT INTO ops.reject (
    load_id,
    line_number,
    column_name,
    reason,
    raw,
    topic,
    partition,
    message_offset
)
SELECT
    CAST(:load_id AS bigint),
    bad.line_number,
    bad.column_name,
    bad.reason,
    bad.raw,
    CAST(:topic AS text),
    bad.partition,
    bad.message_offset
FROM unnest(
    CAST(:line_numbers AS bigint[]),
    CAST(:column_names AS text[]),
    CAST(:reasons AS text[]),
    CAST(:raws AS text[]),
    CAST(:partitions AS integer[]),
    CAST(:message_offsets AS bigint[])
) AS bad (line_number, column_name, reason, raw, partition, message_offset)
