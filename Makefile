# `make` alone says what there is. People, CI and pre-commit call the same targets.
SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
# 3.11 or 3.12, whichever is found first; `make PYTHON=/path/to/python3.11 ...` says another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do $$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Test files side by side, as many as there are cores, up to four: each runs its networks on one thread. Where a test
# takes its process down, the others go on without it: pytest-xdist 3.8 waits for ever after it has begun another.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile --max-worker-restart 0

.DEFAULT_GOAL := help
.PHONY: help run test check check-format check-lint check-types check-contracts check-static test-fast format bench docker-test hooks clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run ## set up what is missing and serve at HOST:PORT (127.0.0.1:8000)
	@./system-libraries.sh $(BIN)/python
	@exec $(BIN)/python -m service

test: $(VENV)/.dev ## every test
	@./system-libraries.sh $(BIN)/python
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

check: $(VENV)/.dev ## format, lint, types, import contracts, and beside them the fast tests
	@$(MAKE) --no-print-directory --jobs 2 --output-sync check-static test-fast

check-static: check-format check-lint check-contracts check-types

check-format: $(VENV)/.dev
	$(BIN)/ruff format --check .

check-lint: $(VENV)/.dev
	$(BIN)/ruff check .

check-types: $(VENV)/.dev
	$(BIN)/pyright --pythonpath $(BIN)/python

check-contracts: $(VENV)/.dev
	$(BIN)/lint-imports --no-logo

test-fast: $(VENV)/.dev ## the tests that take less than half a second each
	@./system-libraries.sh $(BIN)/python
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m "not slow and not browser"

format: $(VENV)/.dev ## put code in shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev ## what is measured, and how to run it
	@./system-libraries.sh $(BIN)/python
	$(BIN)/python -m bench --help

docker-test: ## build the CPU image, bring it up, post a clip, take it down
	docker/smoke.sh

hooks: $(VENV)/.dev ## check at each git commit (format, lint, contracts) and push (types, fast tests)
	$(BIN)/pre-commit install --hook-type pre-commit --hook-type pre-push

clean: ## remove the virtual environment and what tools left behind
	rm -rf $(VENV) build dist *.egg-info client/*.egg-info client/build .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

# The virtual environment. A stamp is as new as the last install from its pyproject.toml.
$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "signstream needs Python 3.11 or 3.12, and neither python3.11, python3.12 nor python3 is one: install it, or say where it is: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c '$(SUPPORTED)' || { echo "signstream needs Python 3.11 or 3.12, and $(PYTHON) is $$($(PYTHON) --version 2>&1 | head -n 1)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.run: pyproject.toml | $(BIN)/python
	@echo "installing what the service needs into $(VENV): a few minutes, once"
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml client/pyproject.toml | $(BIN)/python
	@echo "installing what the tests need into $(VENV): some minutes, once"
	$(PIP) -e '.[dev]' -e client
	@touch $(VENV)/.run $@
