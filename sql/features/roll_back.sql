-- Withdraws the activation that stands last, and makes the version before it the active one.
-- Gives no row, and changes nothing, where no other activation stands.
-- Grain: version. Parameters: none. Run by: features.versions.
WITH standing AS (
    SELECT
        activation_id,
        version,
        row_number() OVER (ORDER BY activation_id DESC) AS place
    FROM {warehouse}.feature_activation
    WHERE withdrawn_at IS NULL
),
withdrawn AS (
    UPDATE {warehouse}.feature_activation AS activation
    SET withdrawn_at = clock_timestamp()
    FROM standing
    WHERE standing.activation_id = activation.activation_id
        AND standing.place = 1
        AND EXISTS (SELECT FROM standing AS other WHERE other.place = 2)
    RETURNING activation.version
)
UPDATE {warehouse}.feature_version AS known
SET activated_at = clock_timestamp()
FROM standing
CROSS JOIN withdrawn
WHERE standing.place = 2
    AND known.version = standing.version
RETURNING
    withdrawn.version AS withdrawn,
    known.version AS active
