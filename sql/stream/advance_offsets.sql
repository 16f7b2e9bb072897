-- Notes that a batch's messages are loaded.
-- Grain: partition. Parameters: topic, partitions, next_offsets: one for each, load_id.
-- Run by: stream, in the transaction of the rows.
INSERT INTO ops.stream_offset AS kept (
    topic,
    partition,
    next_offset,
    load_id,
    updated_at
)
SELECT
    CAST(:topic AS text),
    reached.partition,
    reached.next_offset,
    CAST(:load_id AS bigint),
    clock_timestamp()
FROM unnest(CAST(:partitions AS integer[]), CAST(:next_offsets AS bigint[]))
    AS reached (partition, next_offset)
ON CONFLICT (topic, partition) DO UPDATE SET
    next_offset = excluded.next_offset,
    load_id = excluded.load_id,
    updated_at = excluded.updated_at
