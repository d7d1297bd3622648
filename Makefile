# The only commands. CI types the same.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
FOLDER ?= var
export OMP_NUM_THREADS := 1
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo dev test lint bench proof docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready web/dist/.ready ## install everything into .venv (again when the lock changes)

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed: make setup PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(RUN)/python || $(PYTHON) -m venv $(VENV) || { echo "The venv module is missing: apt install python3-venv"; exit 1; }
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@echo "Installing the locked packages (about 2 GB on disk) ..."
	@$(RUN)/uv pip sync --quiet --require-hashes --compile-bytecode --python $(RUN)/python requirements.lock
	@$(RUN)/uv pip install --quiet --no-deps --no-build-isolation --python $(RUN)/python --editable .
	@touch $@

web/node_modules/.ready: web/package-lock.json $(VENV)/.ready
	@echo "Installing the packages of the staff's app ..."
	@$(RUN)/python -m lims_api.cli.web ci --silent
	@touch $@

web/dist/.ready: web/node_modules/.ready docs/reference/openapi.json $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/generated/*')
	@$(RUN)/python -m lims_api.cli.web run --silent build
	@touch $@

demo: setup ## a laboratory's day on this machine; ONCE=1 ends by itself and leaves var/demo.json
	@$(RUN)/lims demo --folder $(FOLDER) $(if $(ONCE),--once) $(ARGS)

dev: setup ## the demonstration, kept running, with the code as it is
	@$(RUN)/lims demo --folder $(FOLDER) $(ARGS)

test: setup ## every test (browser tests skip without Chromium, and say so)
	@$(RUN)/python -m lims_api.cli.web test --silent
	@$(RUN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

lint: setup ## format, style, types, layers
	@$(RUN)/ruff format --check .
	@$(RUN)/ruff check .
	@$(RUN)/mypy
	@$(RUN)/lint-imports --no-logo
	@$(RUN)/python -m lims_api.cli.web run --silent lint
	@$(RUN)/sqlfluff lint --disable-progress-bar --config dbt/.sqlfluff dbt/models dbt/tests

bench: setup ## every figure, medians of five: var/bench.json and docs/reference/benchmarks.md
	@$(RUN)/python -m tests.bench $(ARGS)

proof: setup ## longer proofs, resumable: kills, races, the marts on DuckDB
	@$(RUN)/python -m tests.proof $(ARGS)

docs: setup ## regenerate docs/reference and docs/requirements.md
	@$(RUN)/python -m tests.docs $(ARGS)

clean: ## stop and delete what this folder made (databases, lake, keys, models); asks first
	@read -r -p "Delete $(FOLDER)/ with its database, keys and files? [y/N] " answer && [ "$$answer" = y ] && $(RUN)/python -m lims_api.cli.clean $(FOLDER)
