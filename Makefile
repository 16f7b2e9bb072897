# Every target sets up what it needs: a Python 3.11 or newer is all that must be there.
SHELL := /bin/bash
PYTHON ?= python3
PIPENV_VERSION := 2026.10.3
PIPENV := .tools/bin/pipenv
export PIPENV_VENV_IN_PROJECT := 1
export PIPENV_IGNORE_VIRTUALENVS := 1
export PIPENV_VERBOSITY := -1
BIN := .venv/bin

.PHONY: setup run test lint bench lock clean

setup: .venv/.synced

$(PIPENV):
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Sluice needs Python 3.11 or newer, and $(PYTHON) is ' + sys.version.split()[0] + '. Name another: make PYTHON=python3.13 $(MAKECMDGOALS)')"
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check pipenv==$(PIPENV_VERSION)

.venv/.synced: Pipfile.lock | $(PIPENV)
	$(PIPENV) --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" sync --dev
	touch $@

# The whole product on this machine: embedded PostgreSQL, migrations, samples, watcher, refresh, exports.
run: setup
	$(BIN)/python -m app sample
	$(BIN)/python -m app run

test: setup
	$(BIN)/python -m pytest --numprocesses=2 $(ARGS)

# The same, with every line that ran counted: commands then start anew, which takes half as long again.
.PHONY: coverage
coverage: setup
	$(BIN)/python -m pytest --numprocesses=2 --cov --cov-report=term $(ARGS)

# All 200 runs of drops, kills and restarts, and the whole flood of ten thousand files; `make test`
# does the first 8, and 4,500 files.
.PHONY: kills
kills: setup
	KILL_RUNS=200 FLOOD_FILES=10000 $(BIN)/python -m pytest --numprocesses=2 --durations=0 tests/acceptance/test_random_kills.py \
	    tests/acceptance/test_watch_trouble.py::test_a_flood_of_files_that_comes_while_the_service_is_stopped_loads_once_each $(ARGS)

# The stream's tests on a real Apache Kafka, where Java and Maven are there to fetch and run one.
.PHONY: test-kafka
test-kafka: setup
	tests/kafka/run.sh $(ARGS)

# Everything at once for MINUTES, restarts included, and an oracle at the end; SEED= repeats a run.
.PHONY: soak
soak: setup
	MINUTES="$(MINUTES)" SEED="$(SEED)" KEEP="$(KEEP)" $(BIN)/python -m tests.soak

# Whatever people do to the imports folder, at random: another, longer run of the model each time.
.PHONY: model
EXAMPLES ?= 500
model: setup
	MODEL_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest tests/model $(ARGS)

# What the benchmarks measure beside, in an environment of its own: its packages cannot disturb ours.
benchmarks/.venv/.synced: benchmarks/Pipfile.lock | $(PIPENV)
	PIPENV_PIPFILE=benchmarks/Pipfile $(PIPENV) --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" sync
	touch $@

# pgloader is a package of Debian; its lines are left out where it cannot be installed.
.PHONY: pgloader
pgloader:
	@command -v pgloader >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -qq -y --no-install-recommends pgloader >/dev/null; } || echo "pgloader is not there, and only root can install it with apt-get"

# Side by side with what people use instead; QUICK=1 does a tenth of the size, ROWS="1 6" some rows,
# ROWS=growth the picture.
bench: setup benchmarks/.venv/.synced pgloader
	QUICK="$(QUICK)" ROWS="$(ROWS)" $(BIN)/python -m benchmarks

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/audit.py

# Pins every package with its hashes, and keeps index addresses out of the lock.
lock: | $(PIPENV)
	$(PIPENV) lock --dev
	PIPENV_PIPFILE=benchmarks/Pipfile $(PIPENV) lock
	for path in Pipfile.lock benchmarks/Pipfile.lock; do \
	    $(PYTHON) -c "import json, pathlib, sys; p = pathlib.Path(sys.argv[1]); lock = json.loads(p.read_text()); lock['_meta']['sources'] = []; [entry.pop('index', None) for section in ('default', 'develop') for entry in lock[section].values()]; p.write_text(json.dumps(lock, indent=4) + '\n')" $$path || exit 1; \
	done

clean:
	rm -rf .venv benchmarks/.venv .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

# Hypothesis and atheris, side by side, look for files that are neither accounted for nor refused.
.PHONY: fuzz
fuzz: setup
	$(BIN)/python -m tests.fuzz $(or $(MINUTES),10)
