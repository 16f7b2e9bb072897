-- Upserts the staged job titles and replaces the related terms of each title that changed.
-- Grain: one row per title; a title that stands twice keeps the largest count and the union
-- of its terms, those of its largest count first.
-- Parameters: load_id. Run by: the load, inside its transaction. Returns: the row counts.
WITH titles AS (
    SELECT
        title,
        max(pdl_count) AS pdl_count
    FROM {staging}.job_titles
    GROUP BY title
),
placed_terms AS (
    SELECT
        staged.title,
        term.related_title,
        row_number() OVER (
            PARTITION BY staged.title
            ORDER BY staged.pdl_count DESC, staged.line_number, term.position
        ) AS place
    FROM {staging}.job_titles AS staged
    CROSS JOIN LATERAL unnest(staged.related) WITH ORDINALITY AS term (related_title, position)
),
ranked_terms AS (
    SELECT
        title,
        related_title,
        row_number() OVER (PARTITION BY title ORDER BY min(place)) AS rank
    FROM placed_terms
    GROUP BY
        title,
        related_title
),
new_lists AS (
    SELECT
        title,
        array_agg(related_title ORDER BY rank) AS related
    FROM ranked_terms
    GROUP BY title
),
old_lists AS (
    SELECT
        kept.title,
        array_agg(kept.related_title ORDER BY kept.rank) AS related
    FROM {warehouse}.related_title AS kept
    INNER JOIN titles
        ON titles.title = kept.title
    GROUP BY kept.title
),
changes AS (
    SELECT
        titles.title,
        titles.pdl_count,
        job_title.title IS NULL AS is_new
    FROM titles
    LEFT JOIN {warehouse}.job_title
        ON job_title.title = titles.title
    LEFT JOIN new_lists
        ON new_lists.title = titles.title
    LEFT JOIN old_lists
        ON old_lists.title = titles.title
    WHERE job_title.title IS NULL
        OR job_title.pdl_count <> titles.pdl_count
        OR new_lists.related IS DISTINCT FROM old_lists.related
),
upserted AS (
    INSERT INTO {warehouse}.job_title (title, pdl_count, load_id)
    SELECT
        title,
        pdl_count,
        :load_id
    FROM changes
    ON CONFLICT (title) DO UPDATE SET
        pdl_count = excluded.pdl_count,
        load_id = excluded.load_id
),
changed_terms AS (
    SELECT ranked_terms.*
    FROM ranked_terms
    INNER JOIN changes
        ON changes.title = ranked_terms.title
),
replaced AS (
    MERGE INTO {warehouse}.related_title AS kept
    USING changed_terms
        ON kept.title = changed_terms.title
        AND kept.rank = changed_terms.rank
    WHEN MATCHED
        AND kept.related_title <> changed_terms.related_title
        THEN UPDATE SET
            related_title = changed_terms.related_title
    WHEN NOT MATCHED
        THEN INSERT (title, rank, related_title)
        VALUES (changed_terms.title, changed_terms.rank, changed_terms.related_title)
    WHEN NOT MATCHED BY SOURCE
        AND kept.title IN (SELECT title FROM changes)
        THEN DELETE
)
SELECT
    count(*) FILTER (WHERE is_new) AS rows_inserted,
    count(*) FILTER (WHERE NOT is_new) AS rows_updated,
    (SELECT count(*) FROM titles) - count(*) AS rows_unchanged,
    0 AS rows_deleted,
    (SELECT count(*) FROM {staging}.job_titles) - (SELECT count(*) FROM titles) AS rows_duplicate
FROM changes
