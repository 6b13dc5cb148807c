# Everything runs in a virtual environment of its own; `make demo` and `make test` make it.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
SHARED ?= ../shared

.PHONY: setup setup-models demo serve test test-newest test-integrations test-slow check bench clean

$(BIN)/mneme: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable .
	touch $(BIN)/mneme

$(VENV)/.tools: pyproject.toml $(BIN)/mneme
	$(BIN)/python -m pip install --quiet --group test --group check
	touch $(VENV)/.tools

# What runs models is tested too: torch, transformers and others.
$(VENV)/.models: $(VENV)/.tools
	$(BIN)/python -m pip install --quiet --group models
	touch $(VENV)/.models

setup: $(VENV)/.tools

setup-models: $(VENV)/.models

demo: $(BIN)/mneme
	$(BIN)/mneme demo

# The server on a sample conversation; its store is kept between runs.
$(VENV)/.server: pyproject.toml $(BIN)/mneme
	$(BIN)/python -m pip install --quiet --editable '.[server,mcp]'
	touch $(VENV)/.server

serve: $(VENV)/.server
	$(BIN)/mneme serve --sample

test: setup-models
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

# The parts that touch transformers, with the newest one (kvpress wants an older one).
test-newest: setup-models
	$(BIN)/python -m pip uninstall --quiet --yes kvpress
	$(BIN)/python -m pip install --quiet --upgrade "transformers>=5.20,<6"
	$(BIN)/python -m pytest tests/engines tests/activation tests/parametric

# Frameworks want other versions than the rest: an environment of their own, and their types.
INTEGRATIONS := $(VENV)-integrations

$(INTEGRATIONS)/.tools: pyproject.toml
	test -x $(INTEGRATIONS)/bin/python || $(PYTHON) -m venv $(INTEGRATIONS)
	$(INTEGRATIONS)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(INTEGRATIONS)/bin/python -m pip install --quiet --editable ".[server,client]" --group integrations
	touch $(INTEGRATIONS)/.tools

test-integrations: $(INTEGRATIONS)/.tools
	$(INTEGRATIONS)/bin/python -m mypy --cache-dir $(INTEGRATIONS)/.mypy_cache \
		src/mneme/integrations src/mneme/compat tests/integrations
	$(INTEGRATIONS)/bin/python -m pytest -p no:asyncio tests/integrations $(wildcard tests/compat) \
		--cov=mneme.integrations --cov=mneme.compat --cov-config=tests/integrations/coverage.toml \
		--cov-report=term:skip-covered

test-slow: setup-models
	$(BIN)/python -m pytest -m slow --durations=10

check: setup-models
	$(BIN)/ruff format --check src tests benchmarks tools deploy
	$(BIN)/ruff check src tests benchmarks tools deploy
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell README.md CHANGELOG.md docs design src tests benchmarks tools
	$(BIN)/vulture

bench: setup-models
	$(BIN)/python -m pip install --quiet --group bench
	SHARED=$(SHARED) $(BIN)/python benchmarks/run_all.py

clean:
	rm -rf $(VENV) $(VENV)-integrations .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
