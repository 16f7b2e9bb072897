#!/usr/bin/env bash
# Runs a command beside a real Apache Kafka: one node, on loopback, gone afterwards. The command
# finds its address in KAFKA_BOOTSTRAP_SERVERS, and those of the listeners that ask for more than an
# address in TEST_KAFKA_SASL_SSL and TEST_KAFKA_SSL: the one takes the login TEST_KAFKA_USERNAME with
# TEST_KAFKA_PASSWORD, the other the certificate that the broker has itself. It and its key are
# broker.pem and key.pem in TEST_KAFKA_CERTIFICATES.
# Fetches it by Maven, with whatever mirror Maven is set up for, into .tools/kafka.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
python=$project/.venv/bin/python
libs=$project/.tools/kafka/libs

for tool in java mvn openssl; do
  command -v "$tool" >/dev/null || { echo "$tool is not there; Java 17 or newer, Maven and OpenSSL are needed" >&2; exit 2; }
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

# Free ports, held together so that they differ.
read -r port sasl_port ssl_port controller < <("$python" -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*(each.getsockname()[1] for each in held))')
address=127.0.0.1:$port
export TEST_KAFKA_SASL_SSL=127.0.0.1:$sasl_port TEST_KAFKA_SSL=127.0.0.1:$ssl_port TEST_KAFKA_CERTIFICATES=$work
export TEST_KAFKA_USERNAME=sluice TEST_KAFKA_PASSWORD
TEST_KAFKA_PASSWORD=$(openssl rand -hex 12)

# Its own authority, for the address by which it is reached.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=broker for tests" -addext subjectAltName=IP:127.0.0.1 \
  -keyout "$work/key.pem" -out "$work/broker.pem" 2>"$work/openssl.log" || { cat "$work/openssl.log" >&2; exit 1; }
cat "$work/key.pem" "$work/broker.pem" >"$work/keystore.pem"
cat >"$work/server.properties" <<P
node.id=1
process.roles=broker,controller
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://$address,SASL_SSL://$TEST_KAFKA_SASL_SSL,SSL://$TEST_KAFKA_SSL,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://$address,SASL_SSL://$TEST_KAFKA_SASL_SSL,SSL://$TEST_KAFKA_SSL
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location=$work/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=$work/broker.pem
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$TEST_KAFKA_USERNAME="$TEST_KAFKA_PASSWORD";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
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
(kafka kafka.tools.StorageTool format --cluster-id 5L6g3nShT-eMCtK--X86sw --config "$work/server.properties" \
  --add-scram "SCRAM-SHA-512=[name=$TEST_KAFKA_USERNAME,password=$TEST_KAFKA_PASSWORD]") >"$work/format.log" 2>&1 ||
  { cat "$work/format.log" >&2; exit 1; }
kafka kafka.Kafka "$work/server.properties" >"$work/broker.log" 2>&1 &
broker=$!
"$python" -c 'import sys; from confluent_kafka.admin import AdminClient
print("Apache Kafka answers at", sys.argv[1], AdminClient({"bootstrap.servers": sys.argv[1], "log_level": 0}).list_topics(timeout=60).brokers, file=sys.stderr)' \
  "$address" || { cat "$work/broker.log" >&2; exit 1; }
KAFKA_BOOTSTRAP_SERVERS=$address "$@"
