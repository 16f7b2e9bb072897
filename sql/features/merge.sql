-- Brings the values of rows up to date; those that do not differ stay as they are.
-- Grain: application_id. Parameters: first_id, last_id. Run by: features.values.
MERGE INTO {partition} AS kept
USING (
{definition}
) AS computed
    ON kept.application_id = computed.application_id
    AND kept.application_id BETWEEN :first_id AND :last_id
WHEN MATCHED
    AND (kept.ma50, kept.ma100, kept.carried)
        IS DISTINCT FROM (computed.ma50, computed.ma100, computed.carried)
    THEN UPDATE SET
        ma50 = computed.ma50,
        ma100 = computed.ma100,
        carried = computed.carried,
        modified_at = now()
WHEN NOT MATCHED
    THEN INSERT (version, application_id, ma50, ma100, carried, modified_at)
    VALUES (
        {version},
        computed.application_id,
        computed.ma50,
        computed.ma100,
        computed.carried,
        now()
    )
