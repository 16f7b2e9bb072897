#!/usr/bin/env bash
# Runs a command beside a real Apache Kafka: one node, on loopback, gone afterwards. The command
# finds its address in KAFKA_BOOTSTRAP_SERVERS.
# Fetches it by Maven, with whatever mirror Maven is set up for, into .tools/kafka.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
python=$project/.venv/bin/python
libs=$project/.tools/kafka/libs

for tool in java mvn; do
  command -v "$tool" >/dev/null || { echo "$tool is not there; Java 17 or newer and Maven are needed" >&2; exit 2; }
done
if [ ! -e "$libs/.fetched" ]; then
  mvn --quiet --batch-mode --file "$project/tests/kafka/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DoutputDirectory="$libs"
  touch "$libs/.fetched"
fi

work=$(mktemp -d)
broker=
# shellcheck disable=SC2317
stop() {
  if [ -n "$broker" ]; then
    kill "$broker" 2>/dev/null || true
    wait "$broker" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

# Two free ports, held together so that they differ.
read -r port controller < <("$python" -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(each.getsockname()[1] for each in held))')
address=127.0.0.1:$port
cat >"$work/server.properties" <<P
node.id=1
process.roles=broker,controller
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://$address,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://$address
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$work/logs
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
P
kafka() {
  exec java -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$libs/*" "$@"
}
(kafka kafka.tools.StorageTool format --cluster-id 5L6g3nShT-eMCtK--X86sw --config "$work/server.properties") >"$work/format.log" 2>&1 ||
  { cat "$work/format.log" >&2; exit 1; }
kafka kafka.Kafka "$work/server.properties" >"$work/broker.log" 2>&1 &
broker=$!
"$python" -c 'import sys; from confluent_kafka.admin import AdminClient
print("Apache Kafka answers at", sys.argv[1], AdminClient({"bootstrap.servers": sys.argv[1], "log_level": 0}).list_topics(timeout=60).brokers, file=sys.stderr)' \
  "$address" || { cat "$work/broker.log" >&2; exit 1; }
KAFKA_BOOTSTRAP_SERVERS=$address "$@"
