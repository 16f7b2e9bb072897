# shellcheck shell=bash
# Risk scores by way of Kafka, with two consumers of which one is killed; sourced by check.sh.

stream_rows=30000
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

# applications_csv ROWS: a file of applications known by their amounts, 1 to ROWS; each thousandth has no day.
applications_csv() {
  awk -v rows="$1" 'BEGIN {
    print "Amount Requested,Application Date,Loan Title,Risk_Score,Debt-To-Income Ratio,Zip Code,State,Employment Length,Policy Code"
    for (i = 1; i <= rows; i++)
      printf "%d.0,%s,\"car, %d\",%d.0,%d%%,%03dxx,NM,4 years,0\n", i,
        i % 1000 ? sprintf("2008-%02d-%02d", 1 + i % 12, 1 + i % 28) : "", i, 300 + i * 7 % 550, i % 50, i % 997
  }'
}

batches_of_both() { [ "$(query "SELECT count(DISTINCT worker) $streamed")" -ge 2 ]; }

check_stream() {
  applications_csv "$stream_rows" >"$work/rejected_2008.csv"
  compose up --detach --wait --scale stream=2 kafka stream >"$work/stream.log" 2>&1 || { cat "$work/stream.log" >&2; fail "the profile stream"; }
  compose run --rm -T --volume "$work/rejected_2008.csv:/data/rejected_2008.csv:ro" stream \
    app produce /data/rejected_2008.csv --rate 1500 </dev/null >"$work/produce.log" 2>&1 &
  local producer=$! killed rejected=$((stream_rows / 1000)) loaded
  loaded=$((stream_rows - rejected))
  await 90 "batches of both consumers" batches_of_both
  # Not head, which would leave the command before it without a reader.
  killed=$(compose ps --quiet stream | sed -n 1p)
  docker kill --signal KILL "$killed" >/dev/null || fail "docker kill of a consumer"
  wait "$producer" || fail "produce: $(cat "$work/produce.log")"
  grep -q "$stream_rows messages sent to risk-scores, 0 rows refused" "$work/produce.log" || fail "produce said: $(cat "$work/produce.log")"
  await 90 "every message loaded" yields "SELECT sum(next_offset) FROM ops.stream_offset WHERE topic = 'risk-scores'" "$stream_rows"
  equal "rows, different ones and their sum" \
    "$(query "SELECT count(*), count(DISTINCT amount_requested), sum(amount_requested) FROM warehouse.risk_score")" \
    "$loaded|$loaded|$((stream_rows * (stream_rows + 1) / 2 - 1000 * rejected * (rejected + 1) / 2))"
  equal "what the ledger counts" "$(query "SELECT sum(rows_read), sum(rows_inserted), sum(rows_rejected) $streamed")" "$stream_rows|$loaded|$rejected"
  equal "rejects with their place" \
    "$(query "SELECT count(DISTINCT (partition, message_offset)) FROM ops.reject WHERE topic = 'risk-scores' AND column_name = 'application_date'")" "$rejected"
  equal "rows whose ma50 is not that of a window" "$(query "$wrong_means")" 0
  ok "two consumers, one of them killed, loaded $stream_rows messages once each, with their features"
  compose stop stream >/dev/null 2>&1
  equal "exit code of the other consumer" "$(compose ps --all --quiet stream | grep -v "$killed" | xargs docker inspect --format '{{.State.ExitCode}}')" 0
  ok "a consumer stops within its grace period"
}
