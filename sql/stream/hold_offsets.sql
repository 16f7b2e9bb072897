-- How far partitions of a topic are loaded, for as long as the transaction lasts.
-- Grain: partition. Parameters: topic, partitions. Run by: stream, before it loads a batch.
SELECT
    partition,
    next_offset
FROM ops.stream_offset
WHERE topic = :topic
    AND partition = ANY(CAST(:partitions AS integer[]))
ORDER BY partition
FOR UPDATE
