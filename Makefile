# Everything a person does with this checkout. Needs Python 3.11 or newer, pip and make.
#   make run PORT=9000 DEMO=0      make test PYTEST_ARGS="-k replay"      make PYTHON=python3.12 run

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11 python,\
	$(if $(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes),$(name))))
PORT ?= 8000
DEMO ?= 1
WORKERS ?= 2
TEST_PROCESSES ?= auto
PYTEST_ARGS ?=
SCHEDULES ?= 2000
CHAOS_SECONDS ?= 600
SEED ?=

BIN := .venv/bin
# Tools that import the settings need a home of their own, never the one that `make run` uses.
CHECK_HOME := .venv/check-home

# What pytest says when no test carries the marker.
NONE_COLLECTED := test $$? -eq 5

.DEFAULT_GOAL := help
.PHONY: help run test check format bench bench-peers crash chaos browser screenshots status clean reset

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: .venv/runtime.stamp ## Run the console with its servers and a demo (PORT=8000 DEMO=1 WORKERS=2)
	@exec $(BIN)/python -m config.embedded run --port $(PORT) --workers $(WORKERS) \
		$(if $(filter 0 no false off,$(DEMO)),--no-demo)

status: .venv/runtime.stamp ## Say whether the console runs, and where
	@$(BIN)/python -m config.embedded status

test: .venv/dev.stamp ## Run the tests, over servers of their own (PYTEST_ARGS="-k words")
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --maxprocesses=8 $(PYTEST_ARGS)

browser: .venv/dev.stamp ## Run the tests that drive Chromium
	$(BIN)/python -m pytest -m browser $(PYTEST_ARGS) || $(NONE_COLLECTED)

crash: export SCHEDULES := $(SCHEDULES)
crash: export SEED := $(SEED)
crash: .venv/dev.stamp ## Kill processes in the middle of their work (SCHEDULES=2000 SEED=7)
	$(BIN)/python -m pytest -m crash -n $(TEST_PROCESSES) --maxprocesses=8 --dist=worksteal \
		$(PYTEST_ARGS) || $(NONE_COLLECTED)

chaos: export SAGADESK_HOME := $(CURDIR)/$(CHECK_HOME)
chaos: .venv/dev.stamp ## Kill real workers and servers under load (CHAOS_SECONDS=600 SEED=7)
	$(BIN)/python -m tests.crashes.chaos --seconds $(CHAOS_SECONDS) $(if $(SEED),--seed $(SEED))

check: export SAGADESK_HOME := $(CURDIR)/$(CHECK_HOME)
check: .venv/dev.stamp ## Check format, lint, types, imports, migrations and translations
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m config.embedded exec --temporary -- \
		$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python -m config.translations check

format: .venv/dev.stamp ## Put the code into its format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: .venv/dev.stamp ## Measure the engine on this machine
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-peers: .venv/dev.stamp ## Measure it beside other engines
	$(BIN)/python -m benchmarks.peers $(BENCH_ARGS)

screenshots: .venv/dev.stamp ## Take the pictures of the docs anew
	$(BIN)/python -m tests.browser.screenshots

clean: ## Remove the virtual environment and every cache; data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

reset: .venv/runtime.stamp ## Remove the data of `make run`, after a question
	@$(BIN)/python -m config.embedded reset

# A stamp is newer than what it was made from: repeated runs install nothing.
.venv/runtime.stamp: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/dev.stamp: requirements-dev.txt requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ .venv/runtime.stamp

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none was found." \
		"Install one, or name it: make run PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is" \
		"older than Python 3.11, or no Python. Name another: make run PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "The virtual environment could not be made." \
		"On Debian and Ubuntu: apt-get install python3-venv" >&2; rm -rf .venv; exit 1; }
