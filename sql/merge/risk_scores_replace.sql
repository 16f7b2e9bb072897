-- Replaces the applications of a corrected file, rank by rank; ranks beyond its end go.
-- Grain: application_id. Parameters: load_id, first_id, last_id: the ids of the file's rows, end_id:
-- the end of its place. Run by: the load, inside its transaction.
-- Returns: the row counts, the first and the last row whose score is new, another one, or gone.
WITH ranked AS (
    SELECT
        CAST(:first_id AS bigint) - 1 + row_number() OVER (
            ORDER BY
                application_date,
                line_number
        ) AS application_id,
        trim_scale(amount_requested) AS amount_requested,
        application_date,
        loan_title,
        trim_scale(risk_score) AS risk_score,
        trim_scale(debt_to_income) AS debt_to_income,
        zip_code,
        state,
        employment_length,
        CAST(policy_code AS smallint) AS policy_code
    FROM {staging}.risk_scores
),
merged AS (
    MERGE INTO {warehouse}.risk_score AS kept
    USING ranked
        ON kept.application_id = ranked.application_id
        AND kept.application_id BETWEEN :first_id AND :last_id
    WHEN MATCHED
        AND (
            kept.amount_requested,
            kept.application_date,
            kept.loan_title,
            kept.risk_score,
            kept.debt_to_income,
            kept.zip_code,
            kept.state,
            kept.employment_length,
            kept.policy_code
        ) IS DISTINCT FROM (
            ranked.amount_requested,
            ranked.application_date,
            ranked.loan_title,
            ranked.risk_score,
            ranked.debt_to_income,
            ranked.zip_code,
            ranked.state,
            ranked.employment_length,
            ranked.policy_code
        )
        THEN UPDATE SET
            amount_requested = ranked.amount_requested,
            application_date = ranked.application_date,
            loan_title = ranked.loan_title,
            risk_score = ranked.risk_score,
            debt_to_income = ranked.debt_to_income,
            zip_code = ranked.zip_code,
            state = ranked.state,
            employment_length = ranked.employment_length,
            policy_code = ranked.policy_code,
            load_id = :load_id
    WHEN NOT MATCHED
        THEN INSERT (
            application_id,
            amount_requested,
            application_date,
            loan_title,
            risk_score,
            debt_to_income,
            zip_code,
            state,
            employment_length,
            policy_code,
            load_id
        )
        VALUES (
            ranked.application_id,
            ranked.amount_requested,
            ranked.application_date,
            ranked.loan_title,
            ranked.risk_score,
            ranked.debt_to_income,
            ranked.zip_code,
            ranked.state,
            ranked.employment_length,
            ranked.policy_code,
            :load_id
        )
    RETURNING
        merge_action() AS action,
        new.application_id,
        old.risk_score IS DISTINCT FROM new.risk_score AS score_changed
),
removed AS (
    DELETE FROM {warehouse}.risk_score
    WHERE application_id > :last_id
        AND application_id <= :end_id
    RETURNING application_id
),
changes AS (
    SELECT
        action,
        application_id,
        action = 'INSERT' OR score_changed AS matters
    FROM merged
    UNION ALL
    SELECT
        'DELETE',
        application_id,
        TRUE
    FROM removed
)
SELECT
    count(*) FILTER (WHERE action = 'INSERT') AS rows_inserted,
    count(*) FILTER (WHERE action = 'UPDATE') AS rows_updated,
    count(*) FILTER (WHERE action = 'DELETE') AS rows_deleted,
    min(application_id) FILTER (WHERE matters) AS first_changed,
    max(application_id) FILTER (WHERE matters) AS last_changed
FROM changes
