-- Makes the table that holds a version's values. Parameters: none. Run by: migrate.
CREATE TABLE IF NOT EXISTS {partition}
PARTITION OF {warehouse}.risk_score_feature
FOR VALUES IN ({version})
