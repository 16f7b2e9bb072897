#!/usr/bin/env bash
# Runs the stream's tests on a real Apache Kafka, which comes and goes with them.
set -euo pipefail
cd "$(dirname "$0")/../.."
tests=(tests/acceptance/test_{produce,stream,stream_kills,secured_broker}.py)
exec tests/kafka/with_broker.sh .venv/bin/python -m pytest "${tests[@]}" "$@"
