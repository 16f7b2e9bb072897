-- Adds the values of rows that have none of the version yet.
-- Grain: application_id. Parameters: first_id, last_id. Run by: features.values.
INSERT INTO {partition} (version, application_id, ma50, ma100, carried, modified_at)
SELECT
    {version},
    application_id,
    ma50,
    ma100,
    carried,
    now()
FROM (
{definition}
) AS computed
