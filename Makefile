# Everything runs in a virtual environment inside the checkout; nothing else needs to be installed by hand
# than Debian's python3-venv, python3-dev, g++ and make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
EXAMPLE = examples/lissajous-regression.wandb

.PHONY: run test lint bench sanitize setup dist clean

setup: $(STAMP)

$(STAMP): pyproject.toml setup.py $(wildcard _core/*.pyx _core/*.pxd _core/*.hpp)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

run: setup
	mkdir -p out
	$(BIN)/histscan export $(EXAMPLE) -o out/history.jsonl
	$(BIN)/histscan info $(EXAMPLE)

test: lint
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/cython-lint _core
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m benches $(BENCH_ARGS)

# Builds the core with sanitizers into a virtual environment of its own, and runs the core's tests under them.
SANITIZERS ?= address,undefined
SANITIZED  := .venvs/sanitize
sanitize:
	test -x $(SANITIZED)/bin/python || $(PYTHON) -m venv $(SANITIZED)
	HISTSCAN_SANITIZE=$(SANITIZERS) $(SANITIZED)/bin/python -m pip install --quiet --no-cache-dir --force-reinstall --no-deps .
	$(SANITIZED)/bin/python -m pip install --quiet '.[test]'

dist: setup
	$(BIN)/python -m build

clean:
	rm -rf build dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info src/*.egg-info
	rm -f _core/*.so
