-- How far partitions of a topic are loaded.
-- Grain: partition. Parameters: topic, partitions. Run by: stream, when partitions are assigned.
SELECT
    partition,
    next_offset
FROM ops.stream_offset
WHERE topic = :topic
    AND partition = ANY(CAST(:partitions AS integer[]))
