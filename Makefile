# `make run` and `make test` make their own environment (.venv) and need Python 3.11 or newer, git, make and a C compiler.

PYTHON ?= python3
ENVIRONMENT ?= .venv
PACKAGE ?= --editable .[dev]
BIN := $(ENVIRONMENT)/bin
DOCS ?= .venv-docs
GPU ?= .venv-gpu
# Where torch brings no Triton itself, as its builds for CUDA do, in a version of their own.
TRITON ?= triton==3.9.0
GPU_TESTS ?= tests/kernels/triton tests/kernels/layers/test_half.py
EXTRA := 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"])'
# The CPU build of torch has a package index of its own; where that cannot be reached, pip goes on with what it finds.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
MEMBERS := __init__.py errors.py py.typed arch kernels workloads reports
N ?= 20
SEED ?= 0
ROOM ?=
LINKS := mkdir -p tests/.dev/rpusim && cd tests/.dev/rpusim && ln -sfn $(addprefix ../../../,$(MEMBERS)) .
GPU_PIP := $(GPU)/bin/python -m pip --disable-pip-version-check --quiet
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test test-slow test-gpu lint types mutants fuzz shipped docs wheel environment clean

run: environment
	$(BIN)/rpusim run

# The same generated cases every time; the slow tests, and pytest by itself, draw new ones.
test: environment
	$(BIN)/python -m pytest -n 2 -m "not slow" --hypothesis-seed=0

test-slow: environment
	$(BIN)/python -m pytest -m slow

# On the GPU where torch sees one, else in Triton's interpreter, which runs kernels on tensors of the CPU.
test-gpu: $(GPU)/ready
	interpreted=$$($(GPU)/bin/python -c "import torch; print(int(not torch.cuda.is_available()))") && \
	TRITON_INTERPRET=$$interpreted $(GPU)/bin/python -m pytest $(GPU_TESTS) --hypothesis-seed=0

# With a GPU, name the torch that fits it: make test-gpu TORCH_INDEX=https://download.pytorch.org/whl/cu128
$(GPU)/ready: pyproject.toml constraints.txt
	$(LINKS)
	$(PYTHON) -m venv $(GPU)
	$(GPU_PIP) install --constraint constraints.txt --retries 0 --extra-index-url $(TORCH_INDEX) torch
	$(GPU)/bin/python -c "import triton" 2> /dev/null || $(GPU_PIP) install $(TRITON)
	$(GPU_PIP) install --constraint constraints.txt --editable .[gpu] pytest hypothesis
	touch $@

lint: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: environment
	$(BIN)/mypy

# N of each room are tried, or of the one that ROOM names (such as arch/parts).
mutants: environment
	$(BIN)/python tests/mutants/trial.py --sample $(N) --seed $(SEED) $(addprefix --room ,$(ROOM))

# N altered inputs are tried (10000 unless given), each of which follows from SEED and its number alone.
fuzz: environment
	$(BIN)/python tests/fuzz/fuzz.py --number $(if $(filter file,$(origin N)),10000,$(N)) --seed $(SEED)

# What ships although it follows from the sources: graphs of the zoo, the list of `rpusim presets`, a page of fields.
shipped: environment
	$(BIN)/python -m rpusim.workloads.runs.given_network
	$(BIN)/python -m rpusim.reports.cli.catalogue
	$(BIN)/python -m rpusim.reports.guide.pages

# The site, into site/. It reads the sources and runs nothing of them, so an environment without torch is enough.
docs: $(DOCS)/ready
	$(LINKS)
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet --clean

$(DOCS)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt $$($(PYTHON) -c $(EXTRA))
	touch $@

wheel: environment
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

environment: $(ENVIRONMENT)/ready

# What is imported as `rpusim` is a folder of links to this one; an unpacked source distribution has none yet.
$(ENVIRONMENT)/ready: pyproject.toml constraints.txt
	$(LINKS)
	$(PYTHON) -m venv $(ENVIRONMENT)
	$(PIP) install --constraint constraints.txt --retries 0 --extra-index-url $(TORCH_INDEX) torch
	$(PIP) install --constraint constraints.txt $(PACKAGE)
	touch $@

clean:
	rm -rf $(ENVIRONMENT) $(DOCS) $(GPU) dist runs site
