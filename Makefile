# `make help` lists the targets. What each needs it makes first; a second run finds it made.

PYTHON ?= python3
# pytest arguments for `make test`, e.g. ARGS="-k windows"; how many tests run at once.
ARGS ?=
TEST_WORKERS ?= 4

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
LOCK := $(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
PYTEST := $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadgroup --cov

.DEFAULT_GOAL := help
.PHONY: help setup demo stack test test-faults test-faults-alerts restore-drill test-compose check docs bench clean lock coverage

help: ## this list
	@scripts/help.sh $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## .venv with everything in it, and the embedded Kafka and TimescaleDB downloaded
	@scripts/fetch-frontend.sh || echo "setup: going on; the dashboard page will show no charts"
	@$(BIN)/python -m devstack fetch

$(STAMP): requirements-dev.txt pyproject.toml
	@scripts/make-venv.sh $(PYTHON) $(VENV)
	@echo "setup: installing the locked packages"
# The lock is complete: looking for what packages depend on would find newer ones than it names, and refuse them.
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.txt
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip check
	@touch $@

demo: setup ## the whole product on the embedded stack, with live traffic (DEMO_SECONDS=60 ends it)
	@$(BIN)/python -m devstack demo

stack: setup ## the embedded Kafka and TimescaleDB until Ctrl-C; writes .stack.env
	@$(BIN)/python -m devstack up --env-file .stack.env

test: setup ## every test, with coverage; ARGS="-k name" for some
	@$(PYTEST) --cov-report=term:skip-covered $(ARGS)

test-faults: setup ## kill, freeze, cut and fill under a stream, ten seeds, then compare; ARGS="--minutes 15" is a soak
	@$(BIN)/python -m tests.faults $(or $(ARGS),--seeds 1..10 --recovery 3)

test-faults-alerts: setup ## the same under alerts: each is told, in order, and nothing restarts; ARGS="--seeds 7 --minutes 15"
	@$(BIN)/python -m pytest -m long tests/faults/alerts
	@$(BIN)/python -m tests.faults.alerts $(or $(ARGS),--seeds 1..5 --minutes 3)

restore-drill: setup ## lose a database of a million events under load, restore it, compare; RESTORE_DRILL_EVENTS=10000000
	@$(BIN)/python -m pytest -n 0 -s -m 'long or not long' tests/integration/test_restore_drill.py

test-compose: setup ## the compose stack from nothing on a Docker engine, and every command of the checklist (root; COMPOSE_LAB)
	@$(BIN)/python -m pytest -m compose tests/compose $(ARGS)

coverage: setup ## every test, then each uncovered line, and htmlcov/index.html
	@$(PYTEST) --cov-report=term-missing:skip-covered --cov-report=html $(ARGS)

check: setup ## format, lint, types, import rules, SQL, shell scripts, the page's scripts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pylint python-services/
	$(BIN)/sqlfluff lint --disable-progress-bar sql
	$(BIN)/shellcheck scripts/*.sh docker/*.sh cron/*.sh cron/notify_alert nginx/*.sh .ci/run
	scripts/check-frontend.sh

docs: setup ## write docs/configuration.md from the declared settings
	@$(BIN)/python -m devstack.configuration_doc

bench: setup ## measure speed and size, peers beside the product; ARGS=--quick: two minutes, against what is stored
	@status=0; $(BIN)/python -m bench $(ARGS) || status=$$?; \
	test -z "$(filter --quick,$(ARGS))" || exit $$status; \
	for part in peers_run scale api alerts start; do $(BIN)/python -m bench.$$part || status=$$?; done; \
	$(BIN)/python -m bench.promises || status=$$?; exit $$status

# Not after every set-up: that one checks what the old locks installed against the new list.
lock: ## pin every package anew from the requirements*.in
	@test -x $(BIN)/pip-compile || $(MAKE) setup
	$(LOCK) --output-file=requirements.txt requirements.in
	$(LOCK) --constraint=requirements.txt --output-file=requirements-api.txt requirements-api.in
	$(LOCK) --constraint=requirements.txt --output-file=requirements-dev.txt requirements-dev.in
	$(LOCK) --output-file=requirements-node.txt requirements-node.in

clean: ## remove what was made here, but not .venv and the download cache
	rm -rf build htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache \
		.hypothesis .import_linter_cache .stack.env
	find . -path ./$(VENV) -prune -o \( -name __pycache__ -o -name '*.egg-info' \) -print0 | xargs -0 rm -rf
