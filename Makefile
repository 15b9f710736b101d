# Needs Python 3.11+ and make, nothing else. Another interpreter: make PYTHON=python3.12 …

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV   ?= .venv
ARGS   ?=

BIN    := $(VENV)/bin
PIP     = $(BIN)/python -m pip --quiet --disable-pip-version-check
PACKAGE := $(VENV)/.installed-package
DEV    := $(VENV)/.installed-dev
PYTEST  = $(BIN)/python -m pytest -q -n 2 --dist worksteal
say     = @echo ==

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help venv demo test check format lint types contracts unit bench bench-gateway e2e e2e-cli e2e-llama docs clean

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1|/p' Makefile | awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

# -- environment ------------------------------------------------------------------------------------------------------

$(BIN)/python:
	$(say) "virtual environment in $(VENV)"
	@test -n "$(PYTHON)" || { echo "ccproxy needs Python 3.11 or newer; none found. Name yours: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "ccproxy needs Python 3.11 or newer; $(PYTHON) is not. Name another: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot create virtual environments. On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(PACKAGE): pyproject.toml | $(BIN)/python
	$(say) "install ccproxy with its gateway"
	@$(PIP) install -e '.[gateway]'
	@touch $@

$(DEV): pyproject.toml | $(BIN)/python
	$(say) "install ccproxy and its development tools"
	@$(PIP) install -e '.[dev]'
	@touch $(PACKAGE) $@

venv: $(DEV) ## create the environment with all tools

# -- what a user runs -------------------------------------------------------------------------------------------------

demo: $(PACKAGE) ## the gateway on 127.0.0.1:8484 with a built-in upstream: no key, no network
	@$(BIN)/ccproxy demo $(ARGS)

test: lint types contracts unit ## everything that must hold: format, lint, types, contracts, all tests

check: lint types contracts $(DEV) ## the fast part of `test`, without recorded streams
	$(say) "tests (fast)"
	@CCPROXY_CORPUS= $(PYTEST) -m 'not slow' $(ARGS)

# -- one by one -------------------------------------------------------------------------------------------------------

format: $(DEV) ## rewrite the code in the project's format, mend what can be mended
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

lint: $(DEV) ## format and lint, changing nothing
	$(say) "ruff format"
	@$(BIN)/ruff format --check .
	$(say) "ruff check"
	@$(BIN)/ruff check .

types: $(DEV) ## mypy (strict) and basedpyright
	$(say) "mypy"
	@$(BIN)/mypy
	$(say) "basedpyright"
	@$(BIN)/basedpyright --pythonpath $(BIN)/python

contracts: $(DEV) ## who may import whom
	$(say) "import contracts"
	@$(BIN)/lint-imports --no-logo

unit: $(DEV) ## all tests; one of them: make unit ARGS='-k name'
	$(say) "tests"
	@$(PYTEST) $(ARGS)

bench: $(DEV) ## microseconds per event, beside orjson
	@$(BIN)/python -m bench $(ARGS)

bench-gateway: $(PACKAGE) ## what the gateway costs under load, beside nginx; needs nginx and a C compiler
	@$(BIN)/python -m bench.gateway $(ARGS)

# -- clients and servers that are not ours ----------------------------------------------------------------------------

e2e: $(DEV) ## the official JS SDKs and the Vercel AI SDK through the gateway; needs Node.js 20
	@$(BIN)/python -m e2e.js $(ARGS)

e2e-cli: $(DEV) ## Claude Code, Codex and Gemini CLI through the gateway; needs Node.js 20, fetches 900 MB
	@$(BIN)/python -m e2e.cli $(ARGS)

e2e-llama: $(DEV) ## the official Python SDKs through the gateway on llama.cpp's server
	@$(BIN)/python -m e2e.llama $(ARGS)

docs: $(DEV) ## write the generated parts of the documentation anew
	@$(BIN)/python tools/docs.py

clean: ## remove the environment and every cache
	rm -rf $(VENV) e2e/node_modules e2e/agents/node_modules e2e/.venv-llama build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
