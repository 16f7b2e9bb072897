#!/usr/bin/env bash
# Brings the whole stack up from a fresh copy of this tree, uses it as a person would, breaks it,
# and takes it down again. Prints one `ok:` line per fact; the first that does not hold prints the
# logs and ends with exit code 1. Where no Docker engine answers, it says so and ends with 0.
#
# Needs Docker Compose 2.24 or newer, curl, and the images of docker-compose.yaml and Dockerfile
# (here already, or to be pulled). APP_CONTAINER and ADMINER_PORT are taken from the environment;
# without them, `app` and 8080 are used when free.
set -euo pipefail

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
real_loans=$tree/../shared/data/loans.csv
slow_rows=200
months=(01 02 03 04 05 06)
month_rows=100000
# The month that is being loaded when the database is killed: its load takes some seconds.
big_month=01
big_month_rows=1500000
# Rows of the view whose averages are not those of a window over the loans.
wrong_averages="
  WITH ratios AS (
    SELECT repayment_date, liquidations::float8 / nullif(defaults, 0) AS ratio FROM warehouse.loans
  ), expected AS (
    SELECT
      repayment_date,
      avg(ratio) OVER (ORDER BY repayment_date RANGE BETWEEN '7 days' PRECEDING AND '1 day' PRECEDING) AS prev_7d,
      avg(ratio) OVER (ORDER BY repayment_date RANGE BETWEEN '6 days' PRECEDING AND CURRENT ROW) AS trailing_7d
    FROM ratios
  )
  SELECT count(*)
  FROM expected
  LEFT JOIN warehouse.default_liquidation_rolling_avg AS found USING (repayment_date)
  WHERE (abs(rolling_avg_prev_7d - prev_7d) < 1e-9) IS NOT TRUE AND (rolling_avg_prev_7d IS NOT NULL OR prev_7d IS NOT NULL)
     OR (abs(rolling_avg_trailing_7d - trailing_7d) < 1e-9) IS NOT TRUE AND (rolling_avg_trailing_7d IS NOT NULL OR trailing_7d IS NOT NULL)"
cap_lease_only=0000000010000000

if ! docker info >/dev/null 2>&1; then
  echo "not checked: no Docker engine answers here, so the containers were not tried"
  exit 0
fi

work=$(mktemp -d)
owner=$(id -u)
export COMPOSE_PROJECT_NAME=sluice-check-$$
image=$COMPOSE_PROJECT_NAME-app
unset POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DB DATABASE_URL DB_STRING DB_STRING_ASYNC

ok() { echo "ok: $* (${SECONDS}s)"; }

fail() {
  echo "FAILED: $*" >&2
  { everything ps -a; everything logs --no-color --tail 80; } >&2 || true
  exit 1
}

compose() { docker compose --project-directory "$work/tree" --file "$work/tree/docker-compose.yaml" "$@"; }

# The same with the services of every profile, which Compose leaves out otherwise.
everything() { compose --profile source --profile stream "$@"; }

query() { compose exec -T db psql -U sluice -d sluice -XAtc "$1" </dev/null; }

# await SECONDS "what is awaited" COMMAND...: tries the command until it holds or time is up.
await() {
  local limit=$1 what=$2 began=$SECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $((SECONDS - began)) -lt "$limit" ] || fail "waited $limit s for: $what"
    sleep 0.3
  done
}

# equal "what" FOUND EXPECTED
equal() { [ "$2" = "$3" ] || fail "$1: found '$2', expected '$3'"; }

# yields SQL EXPECTED: whether the query's answer is the expected one.
yields() { [ "$(query "$1")" = "$2" ]; }

take_down() {
  local code=$?
  exec 8>&- || true
  everything down --volumes --remove-orphans --timeout 5 >/dev/null 2>&1 || true
  # logs/ holds files of the app user, which the caller may not remove.
  docker run --rm --user 0 --entrypoint rm -v "$work:/mnt" "$image" -rf /mnt/tree >/dev/null 2>&1 || true
  docker image rm "$image" >/dev/null 2>&1 || true
  rm -rf "$work"
  exit "$code"
}

port_is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

choose_names() {
  if [ -z "${APP_CONTAINER:-}" ]; then
    APP_CONTAINER=app
    ! docker container inspect app >/dev/null 2>&1 || APP_CONTAINER=$image-1
  fi
  if [ -z "${ADMINER_PORT:-}" ]; then
    ADMINER_PORT=8080
    while port_is_taken "$ADMINER_PORT"; do ADMINER_PORT=$((ADMINER_PORT + 1)); done
  fi
  export APP_CONTAINER ADMINER_PORT
}

# A fresh clone: no environment file, nothing in the three folders, owned by whoever runs this.
copy_tree() {
  mkdir "$work/tree"
  tar -C "$tree" --exclude=./.git --exclude=./.venv --exclude=./.tools --exclude=./.data --exclude=./.env \
    --exclude='./imports/*' --exclude='./exports/*' --exclude='./logs/*' --exclude=__pycache__ -c . |
    tar -C "$work/tree" -x
  chmod 711 "$work"
  # Root, who may do anything, makes it somebody's who is neither root nor the app user.
  [ "$owner" -ne 0 ] || { owner=4711 && chown -R "$owner:$owner" "$work/tree"; }
}

# loans_csv FIRST_YEAR ROWS: a loans file with one row per day, 28 days to the month.
loans_csv() {
  awk -v year="$1" -v rows="$2" 'BEGIN {
    print "Date of Repayment,Number of Loans,Default (as of 2023-05-09),Liquidation (as of 2023-05-09)"
    for (i = 0; i < rows; i++)
      printf "%d-%02d-%02d,%d,%d,%d\n", year + int(i / 336), 1 + int(i / 28) % 12, 1 + i % 28, 40 + i % 7, i % 5, i % 11
  }'
}

# entity_csv MONTH ROWS: a month file of 2024; the values are 1 to ROWS.
entity_csv() {
  awk -v month="$1" -v rows="$2" 'BEGIN {
    print "created_at,value"
    for (i = 0; i < rows; i++)
      printf "2024-%s-%02d %02d:%02d:%02d,%d\n", month, 1 + i % 28, i % 24, i % 60, i % 59, i + 1
  }'
}

app_is_healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$APP_CONTAINER")" = healthy ]; }

drop() { docker cp "$1" "$APP_CONTAINER:/app/imports" >/dev/null 2>&1 || fail "docker cp $1 $APP_CONTAINER:/app/imports"; }

loaded_times() { echo "SELECT count(*) FROM ops.load WHERE file_name = '$1' AND status = 'loaded'"; }

bring_up() {
  compose build --quiet >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; fail "the image does not build"; }
  ok "the image builds, $(docker image inspect --format '{{.Size}}' "$image" | awk '{printf "%d MB", $1 / 1e6}')"
  compose up --detach --wait >"$work/up.log" 2>&1 || { cat "$work/up.log" >&2; fail "docker compose up --wait"; }
  ok "docker compose up brings every service up, with no file made or changed by hand"
}

check_copied_file() {
  local loans=$work/loans.csv
  if [ -f "$real_loans" ]; then cp "$real_loans" "$loans"; else loans_csv 2021 620 >"$loans"; fi
  loans_rows=$(($(wc -l <"$loans") - 1))
  drop "$loans"
  await 60 "loans.csv loaded" yields "$(loaded_times loans.csv)" 1
  equal "rows inserted from loans.csv" "$(query "SELECT rows_inserted FROM ops.load WHERE file_name = 'loans.csv'")" "$loans_rows"
  ok "docker cp of loans.csv into $APP_CONTAINER:/app/imports loads its $loans_rows rows"
}

# open_for SECONDS: whether the slow file has been open for that long.
open_for() { [ $((SECONDS - opened)) -ge "$1" ]; }

# Another container writes a file and keeps it open for longer than a sweep.
check_slow_writer() {
  loans_csv 2019 "$slow_rows" >"$work/slow.csv"
  mkfifo "$work/pipe"
  docker run --rm --interactive --user 0 --network none -v "${COMPOSE_PROJECT_NAME}_imports:/imports" \
    "$image" sh -c 'cat >/imports/loans_slow.csv' <"$work/pipe" &
  local writer=$!
  exec 8>"$work/pipe"
  head -n $((slow_rows / 2)) "$work/slow.csv" >&8
  await 20 "the slow file's first half" compose exec -T app test -s imports/loans_slow.csv
  opened=$SECONDS
  await 30 "more than a sweep" open_for 12
  equal "loads of the open file" "$(query "SELECT count(*) FROM ops.load WHERE file_name = 'loans_slow.csv'")" 0
  tail -n +$((slow_rows / 2 + 1)) "$work/slow.csv" >&8
  exec 8>&-
  wait "$writer" || fail "the slow writer"
  await 30 "loans_slow.csv loaded" yields "$(loaded_times loans_slow.csv)" 1
  equal "what the ledger says of it" \
    "$(query "SELECT count(*), sum(rows_read), sum(rows_inserted) FROM ops.load WHERE file_name = 'loans_slow.csv'")" \
    "1|$slow_rows|$slow_rows"
  ok "a file held open by another container waits, and then loads once and whole"
}

check_cron() {
  local rows=$((loans_rows + slow_rows))
  await 75 "a first run by cron" grep -q . "$work/tree/logs/cron.log"
  await 10 "docker compose logs cron to tell of the refresh" cron_tells
  ok "cron itself ran the job, and logs/cron.log and docker compose logs cron tell of it"
  compose exec -T --user app cron docker/refresh-and-export </dev/null || fail "the cron job ended with exit code $?"
  equal "rows of the rolling average" "$(query 'SELECT count(*) FROM warehouse.default_liquidation_rolling_avg')" "$rows"
  equal "rows whose averages differ from windows over warehouse.loans" "$(query "$wrong_averages")" 0
  equal "lines of its export" "$(wc -l <"$work/tree/exports/loans/default_liquidation_rolling_avg.csv")" $((rows + 1))
  ok "the cron job refreshes the view ($rows rows, the averages right) and writes its export to exports/ on the host"
}

cron_tells() { [[ $(compose logs --no-color cron) == *refreshed* ]]; }

check_adminer() {
  local address=http://127.0.0.1:$ADMINER_PORT page
  page=$(curl --silent --show-error --max-time 10 "$address/") || fail "Adminer does not answer"
  grep -Eq 'name=.auth\[server\].[^>]*value=.db.' <<<"$page" || fail "Adminer's server is not filled in: $page"
  page=$(curl --silent --show-error --max-time 20 --location --cookie-jar "$work/cookies" --cookie "$work/cookies" \
    --data-urlencode 'auth[driver]=pgsql' --data-urlencode 'auth[server]=db' --data-urlencode 'auth[db]=sluice' \
    --data-urlencode 'auth[username]=sluice_reader' --data-urlencode 'auth[password]=sluice' \
    "$address/?pgsql=db&username=sluice_reader&db=sluice&ns=warehouse") || fail "Adminer does not take the login"
  grep -q 'default_liquidation_rolling_avg' <<<"$page" || fail "Adminer does not list the view after the login: $page"
  ok "Adminer is on 127.0.0.1:$ADMINER_PORT with the server filled in, and shows the views after the reader's login"
}

# The status lines of the daemon, by its command line, as /proc shows them.
check_confinement() {
  local status
  # shellcheck disable=SC2016
  status=$(compose exec -T app sh -c 'for p in /proc/[0-9]*; do
      tr "\0" " " <"$p/cmdline" | grep -q "^python -m app watch" && cat "$p/status"; done' </dev/null || true)
  equal "the daemon's user" "$(awk '/^Uid:/{print $2, $3, $4}' <<<"$status")" "1000 1000 1000"
  equal "its capabilities" "$(awk '/^CapEff:/{print $2}' <<<"$status")" "$cap_lease_only"
  equal "those it could ever get" "$(awk '/^CapBnd:/{print $2}' <<<"$status")" "$cap_lease_only"
  # The container's first program has less still: the file capability of setpriv is the only way to any.
  equal "capabilities of the container's first program" \
    "$(compose exec -T app awk '/^Cap(Inh|Prm|Eff|Bnd|Amb):/{print $2}' /proc/1/status </dev/null | sort | uniq -c | awk '{print $1, $2}' | paste -sd ' ')" \
    "4 0000000000000000 1 $cap_lease_only"
  equal "its root, its memory and its number of programs" \
    "$(docker inspect --format '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}' "$APP_CONTAINER")" \
    "true 2147483648 512"
  ! docker run --rm "$image" sh -c 'echo x >>app/__init__.py' 2>/dev/null || fail "the app user can change the code"
  ! compose exec -T --user 0 app sh -c 'echo x >>app/__init__.py' </dev/null 2>/dev/null || fail "root can change the code in the container"
  equal "files that change the user of who runs them" "$(docker run --rm --user 0 "$image" find / -xdev -type f -perm /6000)" ""
  ok "the daemon is uid 1000 with CAP_LEASE alone, on a read-only root, within limits, and nobody can change its code"
}

# Every service but the app, which cannot have CAP_LEASE then, gives up gaining any right.
check_other_services() {
  local id name
  for id in $(compose ps --quiet db cron adminer); do
    name=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}}' "$id")
    equal "what $name drops, and what it may not regain" \
      "$(docker inspect --format '{{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.ReadonlyRootfs}}' "$id")" \
      "[ALL] [no-new-privileges:true] true"
    [ "$(docker inspect --format '{{.HostConfig.Memory}}' "$id")" -gt 0 ] || fail "the memory of $name has no limit"
    [ "$(docker inspect --format '{{.HostConfig.PidsLimit}}' "$id")" -gt 0 ] || fail "the programs of $name have no limit"
  done
  ok "db, cron and adminer run with few capabilities, a read-only root and limits"
}

# as_reader SQL: what the reader's login gives, by the network as Adminer does it.
as_reader() { compose exec -T -e PGPASSWORD=sluice db psql -h db -U sluice_reader -d sluice -XAtc "$1" </dev/null 2>&1; }

check_roles() {
  equal "as whom the app works" "$(query "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = 'sluice'")" sluice_app
  equal "the owner's login beside the app" "$(compose exec -T cron sh -c 'echo "$OWNER_DATABASE_URL$POSTGRES_PASSWORD"' </dev/null)" ""
  equal "what the reader sees" "$(as_reader "SELECT count(*) FROM warehouse.loans")" "$loans_rows"
  equal "its time limit" "$(as_reader "SHOW statement_timeout")" 2min
  local said statement
  for statement in "DELETE FROM warehouse.loans" "SELECT * FROM staging.loans" "CREATE TABLE public.mine (n int)" "CREATE TEMP TABLE mine (n int)"; do
    said=$(as_reader "$statement") && fail "the reader may: $statement"
    grep -Eq 'permission denied|read-only transaction' <<<"$said" || fail "the reader is refused for another reason: $said"
  done
  said=$(compose exec -T -e PGPASSWORD=wrong db psql -h db -U sluice_reader -d sluice -XAtc 'SELECT 1' </dev/null 2>&1) && fail "any password will do"
  grep -q 'password authentication failed' <<<"$said" || fail "a wrong password is refused for another reason: $said"
  ok "the app works as sluice_app, and sluice_reader reads the warehouse and nothing else"
}

check_migrations() {
  alembic exec app alembic current
  grep -q '(head)' "$work/alembic.log" || fail "alembic current is not at the head: $(cat "$work/alembic.log")"
  alembic exec app alembic check
  alembic exec app alembic downgrade -1
  alembic exec app alembic upgrade head
  # As docs/decisions/containers.md has it: the new revision lands in the host's tree, as its owner's.
  alembic run --rm --user "$owner:$(stat -c %g "$work/tree/migrations")" --volume "$work/tree/migrations:/app/migrations" app \
    alembic revision --autogenerate -m "a change"
  equal "revisions written to the host" "$(find "$work/tree/migrations/versions" -name '*_a_change.py' -user "$owner" | wc -l)" 1
  ok "alembic current, check, downgrade, upgrade and revision --autogenerate work in the container"
}

# alembic exec|run ARGUMENTS...: fails with what Alembic said.
alembic() {
  local how=$1
  shift
  compose "$how" -T "$@" </dev/null >"$work/alembic.log" 2>&1 || fail "$*: $(cat "$work/alembic.log")"
}

# The database is killed while a load is under way, and files keep arriving meanwhile.
check_database_restart() {
  local month file big=entity_2024_$big_month.csv rows=$big_month_rows sum=$((big_month_rows * (big_month_rows + 1) / 2))
  entity_csv "$big_month" "$big_month_rows" >"$work/$big"
  for month in "${months[@]}"; do
    file=$work/entity_2024_$month.csv
    [ "$month" != "$big_month" ] || continue
    entity_csv "$month" "$month_rows" >"$file"
    rows=$((rows + month_rows)) sum=$((sum + month_rows * (month_rows + 1) / 2))
  done
  drop "$work/$big"
  await 60 "a load under way" yields "SELECT status FROM ops.load WHERE file_name = '$big'" running
  compose restart --timeout 0 db >/dev/null 2>&1 &
  local restart=$!
  for month in "${months[@]}"; do [ "$month" = "$big_month" ] || drop "$work/entity_2024_$month.csv"; done
  wait "$restart" || fail "docker compose restart db"
  await 120 "all month files loaded" \
    yields "SELECT count(DISTINCT file_name) FROM ops.load WHERE file_name LIKE 'entity%' AND status = 'loaded'" "${#months[@]}"
  equal "whether the load under way had to begin again" "$(query "SELECT max(attempt) > 1 FROM ops.load WHERE file_name = '$big'")" t
  ok "the database was killed and started again while $big was loading"
  equal "files loaded more than once" \
    "$(query "SELECT count(*) FROM (SELECT file_name FROM ops.load WHERE status IN ('loaded', 'duplicate') GROUP BY file_name HAVING count(*) > 1) AS repeated")" 0
  equal "months, rows and sum" \
    "$(query "SELECT count(DISTINCT date_trunc('month', created_at)), count(*), sum(value) FROM warehouse.entity")" "${#months[@]}|$rows|$sum"
  equal "rows of loans" "$(query 'SELECT count(*) FROM warehouse.loans')" $((loans_rows + slow_rows))
  equal "files left waiting" "$(compose exec -T app find imports -maxdepth 1 -name '*.csv' </dev/null | wc -l)" 0
  equal "restarts of the app" "$(docker inspect --format '{{.RestartCount}}' "$APP_CONTAINER")" 0
  await 90 "a healthy app" app_is_healthy
  ok "nothing was lost: ${#months[@]} files loaded once each, $rows rows, and the app never restarted"
}

# A file that the app user may not read stays where it is, is told of, and holds nothing else up.
check_unreadable_file() {
  head -n 1 "$work/slow.csv" >"$work/loans_private.csv"
  chmod 600 "$work/loans_private.csv"
  drop "$work/loans_private.csv"
  await 30 "app status to tell of the unreadable file" tells_of loans_private.csv
  compose exec -T app rm -f imports/loans_private.csv </dev/null || fail "the file cannot be removed"
  ok "a file of mode 0600 is told of by app status, and can be removed"
}

# tells_of FILE: whether the status says that it cannot be read.
tells_of() { compose exec -T app app status --json </dev/null | grep -A 8 "$1" | grep -qi "not readable"; }

# shellcheck source=tests/compose/source.sh
. "$tree/tests/compose/source.sh"
# shellcheck source=tests/compose/stream.sh
. "$tree/tests/compose/stream.sh"

check_stop() {
  local began=$SECONDS
  compose stop app cron >/dev/null 2>&1
  [ $((SECONDS - began)) -le 14 ] || fail "the app had to be killed"
  equal "exit code of the app" "$(docker inspect --format '{{.State.ExitCode}}' "$APP_CONTAINER")" 0
  ok "the app stops within its grace period"
}

trap take_down EXIT
trap 'exit 130' INT TERM
choose_names
copy_tree
bring_up
check_copied_file
check_confinement
check_other_services
check_roles
check_adminer
check_migrations
check_slow_writer
check_cron
check_unreadable_file
check_database_restart
check_source
check_ownership
check_closed_exports
check_pull_by_cron
check_stream
check_stop
ok "all checked"
