# `make run` and `make test` make their own environment (.venv) and need Python 3.11 or newer, git, make and a C compiler.

PYTHON ?= python3
ENVIRONMENT := .venv
BIN := $(ENVIRONMENT)/bin
# The CPU build of torch has its own package index; where that cannot be reached, pip goes on with what it finds.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test test-slow lint types wheel clean

run: $(ENVIRONMENT)/ready
	$(BIN)/rpusim run

test: $(ENVIRONMENT)/ready
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: $(ENVIRONMENT)/ready
	$(BIN)/python -m pytest -m slow

lint: $(ENVIRONMENT)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(ENVIRONMENT)/ready
	$(BIN)/mypy

wheel: $(ENVIRONMENT)/ready
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

$(ENVIRONMENT)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(ENVIRONMENT)
	$(PIP) install --constraint constraints.txt --retries 0 --extra-index-url $(TORCH_INDEX) torch
	$(PIP) install --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(ENVIRONMENT) dist runs
