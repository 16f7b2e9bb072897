# shellcheck shell=bash
# The way from a production database to exports on the host; sourced by check.sh.

# Every entity file that has to be in exports/, with its header and its row, straight from the source.
expected_exports="
  WITH levels AS (
    SELECT
      extract(year FROM created_at) AS year,
      CASE WHEN grouping(extract(month FROM created_at)) = 0 THEN extract(month FROM created_at) END AS month,
      CASE WHEN grouping(extract(day FROM created_at)) = 0 THEN extract(day FROM created_at) END AS day,
      sum(value) AS sum_values,
      min(value) AS min_values,
      max(value) AS max_values,
      trim_scale(round(avg(value), 6)) AS mean_values
    FROM entity
    GROUP BY ROLLUP (extract(year FROM created_at), extract(month FROM created_at), extract(day FROM created_at))
    HAVING grouping(extract(year FROM created_at)) = 0
  )
  SELECT
    concat('year=' || year, '/month=' || month, '/day=' || day, '/entity_stats_')
      || CASE WHEN month IS NULL THEN 'yearly' WHEN day IS NULL THEN 'monthly' ELSE 'daily' END
      || concat('_' || year, '_' || month, '_' || day, '.csv:')
      || concat('year,', 'month,' || left(month::text, 0), 'day,' || left(day::text, 0))
      || 'sum_values,min_values,max_values,mean_values '
      || concat_ws(',', year, month, day, sum_values, min_values, max_values, mean_values)
  FROM levels"

query_source() { compose exec -T production_data psql -U sluice -d production_data -XAtc "$1" </dev/null; }

found_exports() {
  local file
  (cd "$work/tree/exports" && find year=* -name '*.csv') | while read -r file; do
    echo "$file:$(paste -sd ' ' "$work/tree/exports/$file")"
  done
}

exports_follow_source() { diff <(query_source "$expected_exports" | LC_ALL=C sort) <(found_exports | LC_ALL=C sort); }

# as_owner COMMAND...: as whoever made the clone, without Docker and without any group of the containers'.
as_owner() {
  if [ "$(id -u)" -eq 0 ]; then setpriv --reuid "$owner" --regid "$owner" --clear-groups "$@"; else "$@"; fi
}

check_source() {
  compose run --rm -T -e RANDOM_MAIN_CONTROLLER=1 -e YEAR=2022 data_tools sh insert_all_data.sh </dev/null >"$work/source.log" 2>&1 ||
    { cat "$work/source.log" >&2; fail "insert_all_data.sh"; }
  local found
  found=$(cd "$work/tree/exports" && find year=2022 -name '*.csv' | wc -l)
  equal "files of 2022, of its months and its days" "$found" $((1 + 12 + 365))
  diff <(query_source "$expected_exports" | LC_ALL=C sort) <(found_exports | grep ^year=2022 | LC_ALL=C sort) >"$work/exports.diff" ||
    fail "the exports of 2022 differ from production_data: $(head -n 5 "$work/exports.diff")"
  equal "months loaded in 2022" "$(query "SELECT count(*) FROM ops.load WHERE scope LIKE '2022-%' AND status = 'loaded'")" 12
  ok "docker compose run data_tools sh insert_all_data.sh brings a year from production_data to its $found exports"
}

check_ownership() {
  equal "files of exports/ that are not the clone owner's" "$(find "$work/tree/exports" ! -user "$owner" | head -n 5)" ""
  as_owner rm -r "$work/tree/exports/year=2022/month=2" || fail "the clone's owner cannot remove exports"
  compose run --rm -T data_tools app export --full </dev/null >/dev/null 2>&1 || fail "export --full"
  equal "files of the month written again" "$(as_owner find "$work/tree/exports/year=2022/month=2" -name '*.csv' -user "$owner" | wc -l)" 29
  ok "exports/ belongs to the owner of the clone, who can remove it without Docker"
}

check_closed_exports() {
  local said code=0
  said=$(compose run --rm -T --no-deps --user 4321:4321 data_tools sh insert_all_data.sh 2>&1 </dev/null) || code=$?
  equal "exit code where exports/ is closed" "$code" 2
  grep -q "exports/ belongs to uid $owner, and uid 4321 may not write there. On the host, run: sudo chown" <<<"$said" ||
    fail "a closed exports/ is not explained: $said"
  ok "a user who may not write to exports/ is told so, and what to do"
}

# The source is the truth for `entity`: it has nothing of 2024, so those months go, too.
check_pull_by_cron() {
  local said code=0
  said=$(compose run --rm -T --no-deps -e 'PULL_SCHEDULE=99 * * * *' cron 2>&1 </dev/null) || code=$?
  equal "exit code for a wrong PULL_SCHEDULE" "$code" 2
  grep -q "PULL_SCHEDULE is '99 \* \* \* \*'; expected cron's syntax" <<<"$said" || fail "a wrong PULL_SCHEDULE is not explained: $said"
  query_source "UPDATE entity SET value = value + 1000 WHERE created_at = '2022-03-01';
    DELETE FROM entity WHERE created_at::date = '2022-05-04';
    DELETE FROM entity WHERE created_at >= '2022-08-01' AND created_at < '2022-09-01'" >/dev/null
  PULL_SCHEDULE='* * * * *' compose up --detach cron >/dev/null 2>&1 || fail "the sidecar with PULL_SCHEDULE"
  await 240 "exports that follow the source" exports_follow_source
  equal "files of exports/ that are not the clone owner's" "$(find "$work/tree/exports" ! -user "$owner" | head -n 5)" ""
  ok "with PULL_SCHEDULE, cron pulls a changed value, a deleted day and emptied months, and the exports follow"
}
