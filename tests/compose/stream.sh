# shellcheck shell=bash
# Risk scores by way of Kafka, with two consumers of which one is killed; sourced by check.sh.

stream_rows=30000
first_rows=1500
# Rows of the stream whose ma50 is not that of a window over the rows in their order.
wrong_means="
  WITH expected AS (
    SELECT application_id, round(avg(risk_score) OVER (ORDER BY application_id ROWS 49 PRECEDING), 6) AS ma50
    FROM warehouse.risk_score
  )
  SELECT count(*)
  FROM expected
  LEFT JOIN warehouse.risk_score_v0 AS found USING (application_id)
  WHERE found.ma50 IS DISTINCT FROM expected.ma50"
streamed="FROM ops.load WHERE file_name = 'kafka:risk-scores'"
next_offsets="SELECT sum(next_offset) FROM ops.stream_offset WHERE topic = 'risk-scores'"

# applications_csv FIRST LAST: a file of applications known by their amounts; each thousandth has no day.
applications_csv() {
  awk -v first="$1" -v last="$2" 'BEGIN {
    print "Amount Requested,Application Date,Loan Title,Risk_Score,Debt-To-Income Ratio,Zip Code,State,Employment Length,Policy Code"
    for (i = first; i <= last; i++)
      printf "%d.0,%s,\"car, %d\",%d.0,%d%%,%03dxx,NM,4 years,0\n", i,
        i % 1000 ? sprintf("2008-%02d-%02d", 1 + i % 12, 1 + i % 28) : "", i, 300 + i * 7 % 550, i % 50, i % 997
  }'
}

# send FIRST LAST: has `produce` send these applications, at a rate that takes some seconds.
send() {
  local name=rejected_2008_from_$1.csv
  applications_csv "$1" "$2" >"$work/$name"
  if ! compose run --rm -T --volume "$work/$name:/data/$name:ro" stream app produce "/data/$name" --rate 1500 </dev/null >"$work/$name.log" 2>&1 ||
    ! grep -q "$(($2 - $1 + 1)) messages sent to risk-scores, 0 rows refused" "$work/$name.log"; then
    cat "$work/$name.log" >&2
    return 1
  fi
}

# Whether two consumers had partitions when they were last shared out.
both_have_partitions() {
  local id said having=0
  for id in $(compose ps --quiet stream); do
    said=$(docker logs "$id" 2>&1)
    [[ $(grep 'partitions assigned' <<<"$said" | tail -n 1) != *"offsets={"[0-9]* ]] || having=$((having + 1))
  done
  [ "$having" -eq 2 ]
}

# both_loaded_after LOAD_ID: whether each consumer has loaded a batch since then.
both_loaded_after() { [ "$(query "SELECT count(DISTINCT worker) $streamed AND load_id > $1")" -ge 2 ]; }

check_stream() {
  compose up --detach --wait --scale stream=2 kafka stream >"$work/stream.log" 2>&1 || { cat "$work/stream.log" >&2; fail "the profile stream"; }
  # The first messages make the topic. A consumer that comes later than the last would find nothing left.
  send 1 "$first_rows" || fail "produce"
  await 120 "partitions for both consumers" both_have_partitions
  await 60 "the first messages loaded" yields "$next_offsets" "$first_rows"
  kill_a_consumer
  await 120 "every message loaded" yields "$next_offsets" "$stream_rows"
  check_streamed
  ok "two consumers, one of them killed, loaded $stream_rows messages once each, with their features"
  compose stop stream >/dev/null 2>&1
  equal "exit code of the other consumer" "$(compose ps --all --quiet stream | grep -v "$killed" | xargs docker inspect --format '{{.State.ExitCode}}')" 0
  ok "a consumer stops within its grace period"
}

# Kills one of the two while messages come, and leaves its name in `killed`.
kill_a_consumer() {
  local last producer
  last=$(query "SELECT max(load_id) $streamed")
  send $((first_rows + 1)) "$stream_rows" &
  producer=$!
  await 90 "batches of both consumers" both_loaded_after "$last"
  # Not head, which would leave the command before it without a reader.
  killed=$(compose ps --quiet stream | sed -n 1p)
  docker kill --signal KILL "$killed" >/dev/null || fail "docker kill of a consumer"
  wait "$producer" || fail "produce"
}

check_streamed() {
  local rejected=$((stream_rows / 1000)) loaded
  loaded=$((stream_rows - rejected))
  equal "rows, different ones and their sum" \
    "$(query "SELECT count(*), count(DISTINCT amount_requested), sum(amount_requested) FROM warehouse.risk_score")" \
    "$loaded|$loaded|$((stream_rows * (stream_rows + 1) / 2 - 1000 * rejected * (rejected + 1) / 2))"
  equal "what the ledger counts" "$(query "SELECT sum(rows_read), sum(rows_inserted), sum(rows_rejected) $streamed")" "$stream_rows|$loaded|$rejected"
  equal "rejects with their place" \
    "$(query "SELECT count(DISTINCT (partition, message_offset)) FROM ops.reject WHERE topic = 'risk-scores' AND column_name = 'application_date'")" "$rejected"
  equal "rows whose ma50 is not that of a window" "$(query "$wrong_means")" 0
}
