-- Adds the staged applications in a place of their own, ranked by date and then line.
-- Grain: application_id. Parameters: load_id, first_id: the first id of the place, by_date: false
-- ranks by line alone. Run by: the load, inside its transaction.
INSERT INTO {warehouse}.risk_score (
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
SELECT
    CAST(:first_id AS bigint) - 1 + row_number() OVER (
        ORDER BY
            CASE WHEN :by_date THEN application_date END,
            line_number
    ),
    trim_scale(amount_requested),
    application_date,
    loan_title,
    trim_scale(risk_score),
    trim_scale(debt_to_income),
    zip_code,
    state,
    employment_length,
    CAST(policy_code AS smallint),
    CAST(:load_id AS bigint)
FROM {staging}.risk_scores
